"""RL runs that a stranger sends: what must be in them, and playing their agents again."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from feint.bench.leaderboard.kinds import Judged, Kind, of_arm
from feint.bench.leaderboard.reproduce import TESTS, compare, exact, gap, shown, sums, unlike
from feint.bench.leaderboard.untrusted import parse_json, safetensors_header
from feint.bench.results import RunResult
from feint.bench.settings import Settings

#: Settings by which agents are judged, in which a run must not differ from the suite.
JUDGED = ("id", "env_kwargs", "conditions", "deception", "task", "attention", "episodes")
#: Hidden layers, and units of one.
MOST_LAYERS, MOST_UNITS = 8, 4096
#: Seeds below this one, so that training games lie below those of evaluation.
MOST_SEED = 1000


class RlRuns(Kind):
    """Runs of `feint.bench.rl`: their agents are played again."""

    model = "agent.safetensors"

    def check(self, result: RunResult, specs: Mapping[str, dict[str, Any]]) -> None:
        """As `Kind.check`."""
        if result.seed >= MOST_SEED:
            raise ValueError(f"{result.run}: the seed must be < {MOST_SEED}, got {result.seed}")
        theirs, ours = _settings(result), Settings.of(next(iter(specs.values())))
        for name in JUDGED:
            if getattr(theirs, name) != getattr(ours, name):
                raise ValueError(
                    f"{result.run}: settings.{name} differs from the suite's; it must be judged as "
                    f"{result.suite} judges"
                )
        evaluation = result.payload.get("evaluation")
        if not isinstance(evaluation, dict) or set(evaluation) != set(ours.conditions):
            raise ValueError(
                f"{result.run}: payload.evaluation must have {', '.join(ours.conditions)}"
            )
        for condition, metrics in evaluation.items():
            if not isinstance(metrics, dict) or len(metrics) > 100:
                raise ValueError(
                    f"{result.run}: payload.evaluation.{condition} is no table of metrics"
                )
            for metric, found in metrics.items():
                if not _is_moments(found, ours.episodes):
                    raise ValueError(
                        f"{result.run}: payload.evaluation.{condition}.{metric[:60]} must be a "
                        f"mean, a standard deviation and a number of episodes, at most "
                        f"{ours.episodes}"
                    )
        for path in (ours.deception, *ours.task.values(), *ours.attention.values()):
            condition, metric = path.split("/")
            if metric not in evaluation[condition]:
                raise ValueError(f"{result.run}: payload.evaluation lacks {path}")
        _check_rest(result)

    def trains(self, result: RunResult) -> bool:
        """Whether anything is learnt."""
        return Settings.of(result.settings).trains

    def needs(self, result: RunResult, runs: Collection[str]) -> tuple[str, ...]:
        """The run itself, or what it plays with."""
        return (result.run,) if self.trains(result) else (_began_with(result, runs),)

    def uses(self, result: RunResult, runs: Collection[str]) -> tuple[str, ...]:
        """The same, and what tuning began with: control gaps are measured against that."""
        return tuple(dict.fromkeys((*self.needs(result, runs), _began_with(result, runs))))

    def check_model(self, path: Path, result: RunResult) -> None:
        """Refuse a checkpoint that is unsafe, oversized, or of another game."""
        about = safetensors_header(path).about
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
        self, result: RunResult, models: Mapping[str, Path], seed: int, factor: int
    ) -> dict[str, Any]:
        """Play a run's agent again: in the suite's own games, in fresh ones, and with others.

        Returns:
            "replayed" and "fresh": "condition/metric" -> what `sums` gives; "guards", measured
            again, None where the start is not there; "held_out" (see
            `feint.bench.leaderboard.heldout`).
        """
        from feint.agents import evaluate, load_agent
        from feint.bench.gauges import guards
        from feint.bench.leaderboard import heldout
        from feint.bench.rl import EVALUATION_SEED, acting

        s = Settings.of(result.settings)
        model, _ = load_agent(models[self.needs(result, models)[0]], s.id)
        act = acting(model, s, seed=result.seed)

        def played(seed: int, episodes: int) -> dict[str, dict[str, float]]:
            found = evaluate(
                act, s.id, s.env_kwargs, conditions=s.conditions, episodes=episodes, seed=seed
            )
            return {f"{c}/{m}": sums(values) for c, ms in found.items() for m, values in ms.items()}

        replayed = played(EVALUATION_SEED, s.episodes)
        fresh = played(seed, s.episodes * factor)
        start = models.get(self.uses(result, models)[-1])
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

    def tests(self, result: RunResult) -> int:
        """Those of each measure."""
        return TESTS * len(_claims(result))

    def judge(self, result: RunResult, found: Mapping[str, Any], tests: int) -> Judged:
        """Compare games, gaps; keep what others met."""
        claims = _claims(result)
        replayed, fresh, again = (found[name] for name in ("replayed", "fresh", "guards"))
        refused = [d.says for d in compare(claims, replayed, fresh, tests)]
        if again is not None:
            gaps = {path: gap(value) for path, value in _numbers(again).items()}
            refused += unlike(_numbers(result.payload.get("guards")), gaps)[:5]
        return Judged(
            refused,
            (exact(claims, replayed), len(claims)),
            {
                "fresh": {path: shown(fresh[path]) for path in claims if path in fresh},
                "gaps": again is not None,  # whether they could be measured again
                "held_out": found["held_out"],
            },
        )


def _claims(result: RunResult) -> dict[str, dict[str, Any]]:
    return {
        f"{condition}/{metric}": found
        for condition, metrics in result.payload["evaluation"].items()
        for metric, found in metrics.items()
    }


def _numbers(guards: dict[str, dict[str, float]] | None) -> dict[str, Any]:
    return {
        f"guards.{kind}.{name}": value
        for kind, numbers in (guards or {}).items()
        for name, value in numbers.items()
    }


def _began_with(result: RunResult, runs: Collection[str]) -> str:
    """Id of the run that this one was tuned from; its own, if from none."""
    start = Settings.of(result.settings).start
    return result.run if start is None else of_arm(result, start, runs)


def _settings(result: RunResult) -> Settings:
    """The settings of a run, where those that are read later are what they should be.

    Raises:
        ValueError: naming what is not.
    """
    try:
        s = Settings.of(result.settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{result.run}: {error}") from error
    kinds: dict[str, Any] = {
        "soo": dict, "fork": dict, "algo": dict, "start": str | None, "dose_from": str | None,
        "dose_factor": int | float, "twin": str, "algorithm": str,
    }  # fmt: skip
    for name, kind in kinds.items():
        values = getattr(s, name), result.settings.get(name, getattr(s, name))
        if not all(isinstance(value, kind) for value in values):
            raise ValueError(f"{result.run}: settings.{name} is of the wrong kind")
    return s


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
