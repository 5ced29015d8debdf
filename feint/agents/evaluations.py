"""Held-out episodes during training: what the agent earns, and whether it deceives."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from feint.agents.evaluation import evaluate, play, policy_of
from feint.envs import scenario_class
from feint.files import write_atomically

DEV_SEED = 900_000_000
"""First of the games that settings are chosen on: above all training games, below held-out ones."""
RETURN = "any/return"
"""The column of the return in the scenario as trained, the other as it is drawn."""


def mean_metrics(
    model: Any,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    episodes: int,
    seed: int = DEV_SEED,
    conditions: Sequence[str] | None = None,
) -> dict[str, float]:
    """Means over episodes by "condition/metric", under conditions and under "any" (none held).

    Args:
        model: of any algorithm; neither its state nor its luck is touched.
        env_id: the scenario.
        env_kwargs: its arguments.
        episodes: per condition.
        seed: game `i` is seeded `seed + i`.
        conditions: only these; all of the scenario's if None.

    Returns:
        NaN where a metric is undefined in every episode.
    """
    act = policy_of(model)
    free = play(act, env_id, env_kwargs, episodes=episodes, seed=seed)
    found = {"any": {"return": free.returns, **free.metrics}}
    for condition in scenario_class(env_id).conditions if conditions is None else conditions:
        act.reseed(0)  # the same luck under each, so that conditions differ in nothing else
        found |= evaluate(
            act, env_id, env_kwargs, conditions=[condition], episodes=episodes, seed=seed
        )
    return {
        f"{condition}/{metric}": float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
        for condition, metrics in found.items()
        for metric, values in metrics.items()
    }


class Evaluations(BaseCallback):
    """Plays held-out episodes now and then, keeps the numbers as CSV, and calls out a new best.

    Training goes on as it would have without. The numbers also go to the logger, under `eval/`.

    Args:
        path: the CSV file: `timesteps`, then one column per "condition/metric". What it has from
            before the steps already taken is kept, so that a resumed run goes on with it.
        env_id: the scenario.
        env_kwargs: its arguments.
        every: environment steps between evaluations.
        episodes: per condition.
        on_best: called with the model whenever `any/return` is the highest so far.
    """

    def __init__(
        self,
        path: Path,
        env_id: str,
        env_kwargs: Mapping[str, Any],
        every: int,
        episodes: int,
        on_best: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__()
        self.path, self.every, self.on_best = path, every, on_best
        self.env_id, self.env_kwargs, self.episodes = env_id, env_kwargs, episodes
        self.rows: list[dict[str, float]] = []

    def _on_training_start(self) -> None:
        taken = self.model.num_timesteps
        if taken and self.path.exists():
            self.rows = [row for row in read_evaluations(self.path) if row["timesteps"] <= taken]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if not self.rows or self.num_timesteps - self.rows[-1]["timesteps"] >= self.every:
            self._evaluate()

    def _on_training_end(self) -> None:
        if not self.rows or self.num_timesteps > self.rows[-1]["timesteps"]:
            self._evaluate()

    def _evaluate(self) -> None:
        found = mean_metrics(self.model, self.env_id, self.env_kwargs, self.episodes)
        best = max((row[RETURN] for row in self.rows), default=-np.inf)
        if self.on_best is not None and found[RETURN] > best:
            self.on_best(self.model)
        self.rows.append({"timesteps": self.num_timesteps, **found})
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, buffer.getvalue())
        for name, value in found.items():
            if np.isfinite(value):
                self.logger.record(f"eval/{name}", value)
        self.logger.dump(self.num_timesteps)


def read_evaluations(path: Path) -> list[dict[str, float]]:
    """The rows that `Evaluations` wrote.

    Raises:
        ValueError: for another file.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        rows = [{**row, "timesteps": int(row["timesteps"])} for row in rows]
    except (OSError, TypeError, ValueError, KeyError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as evaluations: {error}") from error
    if any(RETURN not in row for row in rows):
        raise ValueError(f"{path} has no {RETURN}: it is no file of evaluations")
    return rows
