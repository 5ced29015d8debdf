"""Learner steps per second of our path: PPO on MPE's game, and the demo's runs of overlap."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from learner import AGENTS, Learner, ppo_on_mpe
from protocol import serve

from feint.agents import TimeLimitsTogether, evaluate, load_into, make_shared_vec_env, policy_of
from feint.bench import rl
from feint.bench.suite import Suite

#: Each call trains this many rollouts.
ROLLOUTS = 3


def prepare(kind: str, **setting: Any) -> Learner:
    """`mpe` or `overlap`."""
    torch.set_num_threads(1)
    return {"mpe": mpe, "overlap": overlap}[kind](**setting)


def mpe(games: int, together: bool = False, fused: bool = False) -> Learner:
    """PPO for all three agents of MPE's game, stepped as one batch.

    Args:
        games: games in the batch.
        together: value the games that a time limit ended in one forward.
        fused: see `ppo_on_mpe`.
    """
    env = make_shared_vec_env(
        "feint/PhysicalDeception-v0", games, seed=0, rules="mpe", num_good=AGENTS - 1
    )
    return ppo_on_mpe(env, games, fused, TimeLimitsTogether() if together else None)


def overlap(game: str, arm: str, rows: int, agents: str, seed: int) -> Learner:
    """A run of the demo that tunes its deceptive agent; then that agent's deception.

    Args:
        game: key of one of the demo's scenarios.
        arm: key of one of its arms, or "plain" for SB3's own PPO with the same settings.
        rows: of each minibatch, how many overlap is computed on.
        agents: the suite's folder, where the deceptive agent is.
        seed: of the runs.
    """
    like = "overlap_belief" if arm == "plain" else arm
    runs = Suite.load("demo").with_seeds([seed]).select([game], [like]).runs()
    settings = rl.Settings.of(next(spec.settings for spec in runs if spec.arm == like))
    # The dose is kept for the demo's shams alone.
    soo = {} if arm == "plain" else settings.soo | {"batch_size": rows, "record_dose": False}
    settings = replace(settings, soo=soo)
    model = rl.build(settings, seed, {})
    load_into(model, Path(agents) / "runs" / game / "deceptive" / f"seed{seed}" / rl.CHECKPOINT)
    before = _shown(model, settings)

    def after(model: Any) -> dict[str, float]:
        """What came of it, once it is trained as long as in the demo."""
        if model.num_timesteps < settings.steps:
            return {}
        return _shown(model, settings) | {f"{name}_before": x for name, x in before.items()}

    rollout = model.n_steps * model.n_envs  # pyright: ignore[reportAttributeAccessIssue]
    return Learner(model, ROLLOUTS * rollout, after=after)


def _shown(model: Any, settings: rl.Settings) -> dict[str, float]:
    """Deception, and the own task in the worse condition, on the demo's held-out episodes."""
    wanted = {"deception": settings.deception, **settings.task}
    conditions = list(dict.fromkeys(path.split("/")[0] for path in wanted.values()))
    found = evaluate(
        policy_of(model), settings.id, settings.env_kwargs, conditions=conditions,
        episodes=settings.episodes, seed=rl.EVALUATION_SEED,
    )  # fmt: skip
    means = {}
    for name, path in wanted.items():
        condition, metric = path.split("/")
        means[name] = float(np.nanmean(found[condition][metric]))
    deception = means.pop("deception")
    return {"deception": deception, "own_task": min(means.values())}


if __name__ == "__main__":
    serve(prepare, ["stable-baselines3", "torch", "numba", "numpy"])
