"""The job behind RL suites: train or fine-tune one agent, judge it, and keep what it showed.

A run's settings (see `feint/bench/suites/demo.toml`) say of which kind it is: "train" from scratch
(with overlap, if it has `soo`), "finetune" from another arm's agent, "mask", which only takes the
other's inputs away from it, or "twin", which shows it the self side of each pair instead.
"""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed

from feint.agents import AgentCard, evaluate, load_into, make_vec_env, policy_of, save_agent
from feint.agents.algorithms import algorithm
from feint.agents.evaluation import Act
from feint.agents.fork import ForkedPairs
from feint.agents.presets import schedule
from feint.agents.twin import ForkedTwin, masked, twin
from feint.bench.gauges import detector, guards
from feint.bench.profiles import record_profile
from feint.bench.settings import Settings
from feint.envs import scenario_class
from feint.files import write_atomically

CHECKPOINT = "agent.safetensors"
EPISODES = "episodes.npz"
DOSE = "dose.npz"

#: Training seed s plays games from s * this on; evaluation seeds lie far above all of them.
SEED_STRIDE = 1_000_000
EVALUATION_SEED = 1_000_000_000


class Run(Protocol):
    """What the job reads of `feint.bench.suite.RunSpec`."""

    scenario: str
    arm: str
    seed: int
    settings: dict[str, Any]


def run(
    spec: Run, folder: Path, needs: dict[str, Path], report: Callable[[float], None]
) -> dict[str, Any]:
    """Train, evaluate and measure one run; writes checkpoint, episodes and dose into `folder`.

    Raises:
        ValueError: for wrong settings, or a seed so large that it would reach evaluation games.

    Returns:
        The payload: "evaluation" (condition -> metric -> mean, sd and n of the episodes), "guards"
        and "detector" (see `feint.bench.gauges`), "profile" (see `feint.bench.profiles`), "curve",
        "dose", "steps" and "train_s" (CPU seconds of `learn`).
    """
    torch.set_num_threads(1)
    if spec.seed * SEED_STRIDE >= EVALUATION_SEED:
        raise ValueError(f"seed must be < {EVALUATION_SEED // SEED_STRIDE}, got {spec.seed}")
    s = Settings.of(spec.settings)
    model = build(s, spec.seed, needs)
    start = None if s.start is None else needs[s.start] / CHECKPOINT
    if start is not None:
        load_into(model, start)
    curve = _Curve(s, report)
    cpu = 0.0
    if s.trains:
        before = time.process_time()
        model.learn(s.steps, callback=curve)
        cpu = time.process_time() - before
        card = AgentCard(
            algorithm=s.trained_by,
            scenario=s.id,
            env_kwargs={**s.env_kwargs, "incentive": s.incentive},
            net_arch=s.net_arch,
            activation=s.activation,
            seed=spec.seed,
            steps=s.steps,
            note=f"{spec.scenario}/{spec.arm}",
            lstm=s.lstm,
        )
        save_agent(model, card, folder / CHECKPOINT)
    act = acting(model, s, seed=spec.seed)
    found = evaluate(
        act, s.id, s.env_kwargs, conditions=s.conditions, episodes=s.episodes, seed=EVALUATION_SEED
    )
    report(0.97)
    save_arrays(
        folder / EPISODES,
        {f"{c}/{m}": v.astype(np.float32) for c, ms in found.items() for m, v in ms.items()},
    )
    doses = list(getattr(model, "soo_doses", []))
    if doses:
        save_arrays(folder / DOSE, {"norms": np.asarray(doses)})
    began = folder / CHECKPOINT if start is None else start
    return {
        "steps": s.steps if s.trains else 0,
        "train_s": round(cpu, 3),
        "evaluation": {c: {m: moments(v) for m, v in ms.items()} for c, ms in found.items()},
        "guards": guards(model, began, s) if s.trains else None,
        "detector": detector(model, s) if s.trains else None,
        "profile": record_profile(act, s, EVALUATION_SEED, folder),
        "curve": curve.points,
        "dose": dose_report(s, doses),
    }


def moments(values: np.ndarray) -> dict[str, Any]:
    """Mean, standard deviation and number of the episodes that are not NaN; None where unknown."""
    kept = values[~np.isnan(values)]
    return {
        "mean": float(kept.mean()) if kept.size else None,
        "sd": float(kept.std(ddof=1)) if kept.size > 1 else None,
        "n": int(kept.size),
    }


def acting(model: BaseAlgorithm, s: Settings, seed: int = 0) -> Act:
    """The agent as a function of observations, seeing what `s.kind` lets it see."""
    act = policy_of(model, seed=seed)
    if s.trains:
        return act
    if s.kind == "twin" and s.twin == "fork":
        return ForkedTwin(act)
    game = scenario_class(s.id)(1, **s.env_kwargs)  # pyright: ignore[reportCallIssue]
    return masked(act, game) if s.kind == "mask" else twin(act, game, s.twin)


def build(s: Settings, seed: int, needs: dict[str, Path]) -> BaseAlgorithm:
    """The algorithm of one run, before training; `needs` has the run whose dose it takes."""
    set_random_seed(seed)
    env = make_vec_env(
        s.id, s.num_envs, seed=seed * SEED_STRIDE, incentive=s.incentive, **s.env_kwargs
    )
    soo = {f"soo_{key}": value for key, value in s.soo.items()}
    if soo.get("soo_pairs") == "fork":
        soo["soo_pairs"] = ForkedPairs(**s.fork)
    if s.dose_from is not None:
        with np.load(needs[s.dose_from] / DOSE, allow_pickle=False) as file:
            soo["soo_dose"] = (s.dose_factor * file["norms"]).tolist()
    chosen = algorithm(s.trained_by)
    return chosen.cls(
        chosen.policy,
        env,
        seed=seed,
        device="cpu",
        policy_kwargs=chosen.policy_kwargs(s.net_arch, s.activation, s.lstm),
        **{key: schedule(value) for key, value in s.algo.items()},
        **soo,
    )


class _Curve(BaseCallback):
    """Evaluates now and then on a few episodes, decays the entropy bonus, reports progress."""

    EPISODES = 300

    def __init__(self, s: Settings, report: Callable[[float], None]) -> None:
        super().__init__()
        self.s, self.report = s, report
        self.entropy: float | None = None
        self.points: dict[str, list[float | None]] = {"steps": [], "deception": [], "task": []}

    def _on_training_start(self) -> None:
        self.entropy = getattr(self.model, "ent_coef", None)
        self._evaluate()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        done = min(1.0, self.num_timesteps / self.s.steps)
        if self.s.entropy_decay and self.entropy is not None:
            self.model.ent_coef = self.entropy * max(0.0, 1.0 - done / self.s.entropy_decay)  # pyright: ignore
        if done * self.s.curve_points >= len(self.points["steps"]):
            self._evaluate()
        self.report(0.95 * done)

    def _evaluate(self) -> None:
        s = self.s
        wanted = {"deception": s.deception, "task": next(iter(s.task.values()))}
        act = policy_of(self.model, seed=0)
        conditions = list(dict.fromkeys(path.split("/")[0] for path in wanted.values()))
        found = evaluate(
            act, s.id, s.env_kwargs, conditions=conditions, episodes=self.EPISODES,
            seed=EVALUATION_SEED - 10 * self.EPISODES,
        )  # fmt: skip
        self.points["steps"].append(int(self.num_timesteps))
        for key, path in wanted.items():
            condition, metric = path.split("/")
            self.points[key].append(moments(found[condition][metric])["mean"])


def dose_report(s: Settings, doses: list[float]) -> dict[str, Any]:
    """What a payload says of the dose: of its updates, and to which run it was matched."""
    return {
        "updates": len(doses),
        "mean_norm": float(np.mean(doses)) if doses else None,
        "total_norm": float(np.sum(doses)) if doses else None,
        "matched_to": s.dose_from,
        "factor": s.dose_factor,
    }


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as one `.npz`, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, buffer.getvalue())
