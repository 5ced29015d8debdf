"""RL runs that a stranger sends: what must be in them, and playing their agents again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feint.bench.leaderboard.untrusted import parse_json, safetensors_header
from feint.bench.results import RunResult
from feint.bench.settings import Settings
from feint.bench.suite import Suite

if TYPE_CHECKING:
    import numpy as np

#: Settings by which agents are judged, in which a run must not differ from the suite.
JUDGED = ("id", "env_kwargs", "conditions", "deception", "task", "attention", "episodes")
#: Hidden layers, and units of one.
MOST_LAYERS, MOST_UNITS = 8, 4096
#: Seeds below this one, so that training games lie below those of evaluation.
MOST_SEED = 1000


def check(result: RunResult, suite: Suite) -> None:
    """Refuse a run that was judged otherwise than the suite does, or lacks its numbers.

    Raises:
        ValueError: naming the run and what is wrong.
    """
    if result.seed >= MOST_SEED:
        raise ValueError(f"{result.run}: the seed must be < {MOST_SEED}, got {result.seed}")
    specs = {s.arm: s.settings for s in suite.runs() if s.scenario == result.scenario}
    if specs.get(result.arm, result.settings) != result.settings:
        raise ValueError(
            f"{result.run}: its settings are not those of the suite's {result.arm}; run it as the "
            "suite has it, or give a method of your own a name of its own"
        )
    theirs, ours = Settings.of(result.settings), Settings.of(next(iter(specs.values())))
    for name in JUDGED:
        if getattr(theirs, name) != getattr(ours, name):
            raise ValueError(
                f"{result.run}: settings.{name} differs from the suite's; it must be judged as "
                f"{suite.name} judges"
            )
    evaluation = result.payload.get("evaluation")
    if not isinstance(evaluation, dict) or set(evaluation) != set(ours.conditions):
        raise ValueError(f"{result.run}: payload.evaluation must have {', '.join(ours.conditions)}")
    for condition, metrics in evaluation.items():
        if not isinstance(metrics, dict) or len(metrics) > 100:
            raise ValueError(f"{result.run}: payload.evaluation.{condition} is no table of metrics")
        for metric, found in metrics.items():
            if not _is_moments(found, ours.episodes):
                raise ValueError(
                    f"{result.run}: payload.evaluation.{condition}.{metric[:60]} must be a mean, a "
                    f"standard deviation and a number of episodes, at most {ours.episodes}"
                )
    for path in (ours.deception, *ours.task.values(), *ours.attention.values()):
        condition, metric = path.split("/")
        if metric not in evaluation[condition]:
            raise ValueError(f"{result.run}: payload.evaluation lacks {path}")
    _check_rest(result)


def _is_moments(found: Any, most: int) -> bool:
    if not isinstance(found, dict) or set(found) != {"mean", "sd", "n"}:
        return False
    mean, sd, n = found["mean"], found["sd"], found["n"]
    return (
        isinstance(n, int)
        and 0 <= n <= most
        and (mean is None) == (n == 0)
        and (mean is None or isinstance(mean, int | float))
        and (sd is None or (isinstance(sd, int | float) and sd >= 0))
    )


def _check_rest(result: RunResult) -> None:
    """What the board reads beside the evaluation."""
    payload = result.payload
    if not isinstance(payload.get("train_s"), int | float):
        raise ValueError(f"{result.run}: payload.train_s must be a number")
    guards = payload.get("guards")
    if guards is not None and not (
        isinstance(guards, dict) and all(_is_guard(found) for found in guards.values())
    ):
        raise ValueError(f"{result.run}: payload.guards is damaged")
    for name in ("detector", "profile", "dose", "curve"):
        if not isinstance(payload.get(name), dict | None):
            raise ValueError(f"{result.run}: payload.{name} must be a table, or null")


def _is_guard(found: Any) -> bool:
    names = ("pair_gap", "control_gap", "variance_ratio", "norm_ratio", "anchor")
    return isinstance(found, dict) and all(
        isinstance(found.get(name), int | float) and found[name] >= 0 for name in names
    )


def plays_as(result: RunResult) -> str:
    """Id of the run whose checkpoint this one plays with: its own, if it has trained anything."""
    s = Settings.of(result.settings)
    return result.run if s.trains else began_with(result) or result.run


def began_with(result: RunResult) -> str | None:
    """Id of the run that this one was tuned from."""
    start = Settings.of(result.settings).start
    return None if start is None else f"{result.scenario}/{start}/seed{result.seed}"


def check_model(path: Path, result: RunResult) -> None:
    """Refuse a checkpoint that is unsafe, oversized, or of another game.

    Raises:
        ValueError: naming the file.
    """
    about = safetensors_header(path)
    card = parse_json(str(about.get("feint", "")), f"the description in {path}")
    if not isinstance(card, dict):
        raise ValueError(f"{path} is a safetensors file, but not a Feint agent")
    widths, lstm = card.get("net_arch"), card.get("lstm", 64)
    units = [*widths, lstm] if isinstance(widths, list) else [None]
    if len(units) > MOST_LAYERS + 1 or not all(
        isinstance(x, int) and 0 < x <= MOST_UNITS for x in units
    ):
        raise ValueError(
            f"{path}: nets must have at most {MOST_LAYERS} layers of at most {MOST_UNITS} units"
        )
    s = Settings.of(result.settings)
    rules = dict(card.get("env_kwargs") or {})
    rules.pop("incentive", None)
    if card.get("scenario") != s.id or json.dumps(rules, sort_keys=True) != json.dumps(
        s.env_kwargs, sort_keys=True
    ):
        raise ValueError(f"{path} is an agent for another game than {result.run} played")


def reevaluate(
    result: RunResult, models: Mapping[str, Path], seed: int, factor: int
) -> dict[str, Any]:
    """Play a run's agent again; only ever called in a process of its own.

    Args:
        result: of the run, checked.
        models: run id -> checkpoint: that of `plays_as`, and of `began_with` if it is there.
        seed: of the fresh games.
        factor: so many times the claimed number of episodes are played freshly.

    Returns:
        "replayed" and "fresh": "condition/metric" -> what `sums` gives, in the very games that the
        suite plays, and in others; "guards", measured again, None where the start is not there;
        "held_out" (see `feint.bench.leaderboard.heldout`).
    """
    from feint.agents import evaluate, load_agent
    from feint.bench.gauges import guards
    from feint.bench.leaderboard import heldout
    from feint.bench.rl import EVALUATION_SEED, acting

    s = Settings.of(result.settings)
    model, _ = load_agent(models[plays_as(result)], s.id)
    act = acting(model, s, seed=result.seed)

    def played(seed: int, episodes: int) -> dict[str, dict[str, float]]:
        found = evaluate(
            act, s.id, s.env_kwargs, conditions=s.conditions, episodes=episodes, seed=seed
        )
        return {f"{c}/{m}": sums(values) for c, ms in found.items() for m, values in ms.items()}

    replayed = played(EVALUATION_SEED, s.episodes)
    fresh = played(seed, s.episodes * factor)
    began = began_with(result)
    start = models.get(result.run if began is None else began)
    span = s.episodes * factor  # later games do not meet those of the fresh evaluation
    return {
        "replayed": replayed,
        "fresh": fresh,
        "guards": guards(model, start, s) if s.trains and start is not None else None,
        "held_out": {
            "opponents": heldout.against(act, s, s.episodes, seed + span),
            "observer": heldout.observed(act, s, s.episodes, seed + 2 * span),
        },
    }


def sums(values: "np.ndarray") -> dict[str, float]:
    """What means, spreads and their errors are made of: counts, extremes, sums of powers."""
    kept = values[values == values].astype(float)
    powers = {f"s{k}": float((kept**k).sum()) for k in (1, 2, 4)}
    ends = {"low": float(kept.min()), "high": float(kept.max())} if kept.size else {}
    return {"episodes": len(values), "n": int(kept.size), **powers, **ends}
