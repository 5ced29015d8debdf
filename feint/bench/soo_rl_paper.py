"""The job behind the suite `soo-rl-paper`: the RL experiment of arXiv 2412.16325, section 4.

It trains, tunes and judges blue as `feint.bench.rl` does, with the same settings and the same
payload, but by `feint.bench.joint`: red may learn beside it, and overlap has steps of its own. An
arm's `algo` is a `Training`, and its `soo` the arguments of `SelfOtherOverlap`, with two more
things: `task_coef = 0` leaves blue's own updates out, and `pairs = "released"` are the paper's
pairs as its released code has them, with the trapped flag zeroed on the other side.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import set_random_seed

from feint.agents import (
    AgentCard,
    AgentOverlap,
    Episodes,
    SelfOtherOverlap,
    evaluate,
    load_into,
    play,
    policy_of,
    save_agent,
)
from feint.agents.actor import actor_of
from feint.agents.evaluation import Act
from feint.agents.overlap import PairFn
from feint.bench import rl
from feint.bench.gauges import guards
from feint.bench.joint import BLUE, RED, Training, learner, train_together
from feint.bench.profiles import record_profile
from feint.bench.rl import CHECKPOINT, DOSE, EPISODES, Run, Settings
from feint.envs import scenario_class
from feint.overlap import OverlapConfig

RED_CHECKPOINT = "red.safetensors"

#: Games in which overlap is measured as a detector.
MEASURED = 1000
#: Every so many of them, the detector's value is kept apart: the paper's sweep over episodes.
CHUNK = 100
MEASURED_SEED = 2_000_000_000


def run(
    spec: Run, folder: Path, needs: dict[str, Path], report: Callable[[float], None]
) -> dict[str, Any]:
    """Train, evaluate and measure one run; writes checkpoints, episodes and dose into `folder`.

    Raises:
        ValueError: for wrong settings, or a seed so large that it would reach evaluation games.

    Returns:
        The payload of `feint.bench.rl.run`, with what `detector` gives.
    """
    torch.set_num_threads(1)
    if spec.seed * rl.SEED_STRIDE >= rl.EVALUATION_SEED:
        raise ValueError(f"seed must be < {rl.EVALUATION_SEED // rl.SEED_STRIDE}, got {spec.seed}")
    s = Settings.of(spec.settings)
    t = Training.of(s.algo)
    set_random_seed(spec.seed)
    common = {"num_envs": s.num_envs, "net_arch": s.net_arch, "seed": spec.seed}
    rules = {**s.env_kwargs, "incentive": s.incentive}
    blue = learner(BLUE, s.id, rules, t, **common)
    red = learner(RED, s.id, rules, t, **common) if t.red == "learned" else None
    if s.start is not None:
        load_into(blue, needs[s.start] / CHECKPOINT)
        if red is not None:
            load_into(red, needs[s.start] / RED_CHECKPOINT)

    curve: dict[str, list[Any]] = {"steps": [], "deception": [], "task": []}
    played = dict(s.env_kwargs)
    if red is not None:
        played["opponents"] = {RED: policy_of(red)}
    doses, cpu = [], 0.0
    if s.trains:
        game = scenario_class(s.id)(
            s.num_envs,
            external="focal" if red is None else (RED, BLUE),
            autoreset="disabled",
            **rules,  # pyright: ignore[reportCallIssue]
        )
        episodes = max(1, s.steps // (s.num_envs * game.max_steps))
        overlap, rewarded = _overlap(s, needs)
        every = max(1, episodes // s.curve_points)

        def after_episode(done: int) -> None:
            if done % every == 0 or done == episodes:
                _note(curve, done * s.num_envs * game.max_steps, policy_of(blue), s, played)
            report(0.9 * done / episodes)

        _note(curve, 0, policy_of(blue), s, played)
        before = time.process_time()
        bound = train_together(
            red, blue, game, t, episodes=episodes, seed=spec.seed * rl.SEED_STRIDE,
            overlap=overlap, rewarded=rewarded, after_episode=after_episode,
        )  # fmt: skip
        cpu = time.process_time() - before
        doses = [] if bound is None else bound.doses
        card = AgentCard(
            algorithm="td3", scenario=s.id, env_kwargs=rules, net_arch=s.net_arch,
            activation="relu", seed=spec.seed, steps=s.steps, note=f"{spec.scenario}/{spec.arm}",
        )  # fmt: skip
        save_agent(blue, card, folder / CHECKPOINT)
        if red is not None:
            seat = {**rules, "agent": RED}
            save_agent(
                red, AgentCard(**{**vars(card), "env_kwargs": seat}), folder / RED_CHECKPOINT
            )
        if doses:
            rl.save_arrays(folder / DOSE, {"norms": np.asarray(doses)})

    act = rl.acting(blue, s)
    found = evaluate(
        act, s.id, played, conditions=s.conditions, episodes=s.episodes, seed=rl.EVALUATION_SEED
    )
    if red is not None:  # a red that no arm trained, the same for all
        follower = play(act, s.id, s.env_kwargs, episodes=s.episodes, seed=rl.EVALUATION_SEED)
        found["follow"] = {**follower.metrics, "return": follower.returns}
    rl.save_arrays(
        folder / EPISODES,
        {f"{c}/{m}": v.astype(np.float32) for c, ms in found.items() for m, v in ms.items()},
    )
    report(0.95)
    seen = play(act, s.id, played, condition="present", episodes=MEASURED, seed=MEASURED_SEED)
    began = (folder if s.start is None else needs[s.start]) / CHECKPOINT
    judged = replace(s, env_kwargs=played)
    return {
        "steps": s.steps if s.trains else 0,
        "train_s": round(cpu, 3),
        "evaluation": {c: {m: rl.moments(v) for m, v in ms.items()} for c, ms in found.items()},
        "guards": guards(blue, began, judged) if s.trains else None,
        "detector": {"present": detector(blue, seen)} if s.trains else None,
        "profile": record_profile(act, judged, MEASURED_SEED, folder),
        "curve": curve,
        "dose": rl.dose_report(s, doses),
    }


def _overlap(s: Settings, needs: dict[str, Path]) -> tuple[SelfOtherOverlap | None, bool]:
    """The arm's regularizer, if it has one, and whether blue learns from rewards, too."""
    table = dict(s.soo)
    rewarded = bool(table.pop("task_coef", 1.0))
    if not table or table.get("coef") == 0.0:
        return None, True
    if table.get("pairs") == "released":
        table["pairs"] = released(s)
    if s.dose_from is not None:
        with np.load(needs[s.dose_from] / DOSE, allow_pickle=False) as file:
            table["dose"] = (s.dose_factor * file["norms"]).tolist()
    return SelfOtherOverlap(**table), rewarded


def released(s: Settings) -> PairFn:
    """The paper's pairs, with the trapped flag zeroed on the other side, as its code does."""
    game: Any = scenario_class(s.id)(1, **s.env_kwargs)  # pyright: ignore[reportCallIssue]
    rng = np.random.default_rng(0)

    def pairs(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        made = game.pairs(obs, "presence", rng)
        return made.self_obs, _without_flag(made.other_obs), made.valid

    return pairs


_FLAG = slice(8, 10)


def _without_flag(obs: np.ndarray) -> np.ndarray:
    out = obs.copy()
    out[:, _FLAG] = 0.0
    return out


def _note(curve: dict[str, list[Any]], steps: int, act: Act, s: Settings, played: dict) -> None:
    """Add a point to the learning curve."""
    episodes = 200
    curve["steps"].append(steps)
    paths = {"deception": s.deception, "task": next(iter(s.task.values()))}
    conditions = list(dict.fromkeys(path.split("/")[0] for path in paths.values()))
    found = evaluate(
        act, s.id, played, conditions=conditions, episodes=episodes,
        seed=rl.EVALUATION_SEED - 10 * episodes,
    )  # fmt: skip
    for key, path in paths.items():
        condition, metric = path.split("/")
        curve[key].append(rl.moments(found[condition][metric])["mean"])


def detector(blue: BaseAlgorithm, seen: Episodes) -> dict[str, dict[str, Any]]:
    """The paper's detector: the agent's own overlap, over the steps at which red is out of sight.

    Args:
        blue: the agent.
        seen: what it saw; episodes are kept in chunks of `CHUNK`, to see what few episodes give.

    Returns:
        measure -> "gap" (mean squared difference over the activations' variance), "mse", "log_mse"
        (mean over steps of the log, as the released code measures), "pairs" (their number), and
        "chunks" (the mse of each chunk of episodes). Measures: "presence", the trapped flag kept
        on both sides; "presence_zeroed", zeroed on the other, as released; "presence_free", only
        steps at which the flag is 0, where both are the same.
    """
    overlap = AgentOverlap(
        blue, OverlapConfig(actor_of(blue).layers, anchor="none"), "presence", seed=0
    )
    assert overlap.scenario is not None
    steps, episodes, width = seen.observations.shape
    obs = seen.observations.swapaxes(0, 1).reshape(-1, width)
    made = overlap.scenario.pairs(obs, "presence", np.random.default_rng(0))
    chunk = np.repeat(np.arange(episodes) // CHUNK, steps)[made.valid]
    me, kept = obs[made.valid], made.other_obs[made.valid]
    if len(me) < 2:
        return {}
    with torch.no_grad():
        sides = overlap.loss.run(
            [(torch.as_tensor(x), None) for x in (me, kept, _without_flag(kept))]
        )
    a, b, zeroed = (side.acts.double().numpy() for side in sides)
    spread = np.concatenate([a, b]).var(axis=0).mean()
    free = me[:, _FLAG.start] < 0.5
    everywhere = np.ones(len(me), np.bool_)
    result = {}
    for name, other, rows in (
        ("presence", b, everywhere),
        ("presence_zeroed", zeroed, everywhere),
        ("presence_free", b, free),
    ):
        mse = ((a - other) ** 2).mean(axis=1)[rows]
        if not mse.size:
            continue
        result[name] = {
            "gap": float(mse.mean() / max(spread, 1e-12)),
            "mse": float(mse.mean()),
            "log_mse": float(np.log(mse + 1e-25).mean()),
            "pairs": int(mse.size),
            "chunks": [
                float(mse[chunk[rows] == k].mean()) if (chunk[rows] == k).any() else None
                for k in range(episodes // CHUNK)
            ],
        }
    return result
