"""What is measured of a trained agent's activations: its guards, and overlap as a detector."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm

from feint.agents import AgentOverlap, Episodes, load_agent, play, policy_of
from feint.agents.actor import Batch, actor_of, no_memory
from feint.agents.fork import ForkedPairs
from feint.agents.overlap import PairFn
from feint.envs import scenario_class
from feint.envs.core import Scenario
from feint.overlap import OverlapConfig

if TYPE_CHECKING:
    from feint.bench.settings import Settings

#: Games of these gauges lie above all of training and evaluation.
GUARD_SEED = 2_000_000_000
EPISODES = 256
ROWS = 2048

#: The pair kinds whose overlap is measured, where a scenario has them.
KINDS = ("presence", "belief")


def guards(model: BaseAlgorithm, began: Path, s: "Settings") -> dict[str, dict[str, float]]:
    """Overlap and control gap by pair kind, on what the agent that tuning began with sees.

    The collapse ratios are relative to that agent; for an agent trained from scratch, to itself.
    A kind that is not defined in this scenario, or nowhere in what is seen, is left out.

    Args:
        model: the trained agent.
        began: checkpoint of the agent that it was tuned from, or its own.
        s: of the run.
    """
    reference, _ = load_agent(began)
    both = [c for c in ("present", "blind") if c in s.conditions] or [s.deception.split("/")[0]]
    batch = _batch(reference, [_played(reference, s, condition) for condition in both])
    result = {}
    config = OverlapConfig(actor_of(reference).layers)
    for kind, pairs in _kinds(s):
        overlap = _bound(reference, config, pairs)
        if overlap is None:
            continue
        overlap.loss.module = actor_of(model).module
        found = overlap.report(batch)
        if found is not None:
            result[kind] = {
                "pair_gap": found.pair_gap,
                "control_gap": found.control_gap,
                "variance_ratio": found.variance_ratio,
                "norm_ratio": found.norm_ratio,
                "anchor": found.anchor,
            }
    return result


def detector(model: BaseAlgorithm, s: "Settings") -> dict[str, dict[str, dict[str, float]]]:
    """The agent's own overlap on what it sees itself: what arXiv 2412.16325 detects liars by.

    Returns:
        condition -> pair kind -> "gap", the mean squared difference of self and other over their
        variance; "mse", the same without the division; and "pairs", their number. A kind followed
        by "_zeroed" has the columns `s.zero_in_other` set to 0 on the other side. "fork" plays
        games of its own, as in training, and stands under the condition of the deception metric.
    """
    config = OverlapConfig(actor_of(model).layers, anchor="none")
    result = {}
    for condition in s.conditions:
        batch = _batch(model, [_played(model, s, condition)])
        found = {}
        for name, pairs in _kinds(s, zeroed=True):
            if isinstance(pairs, ForkedPairs) and condition != s.deception.split("/")[0]:
                continue
            overlap = _bound(model, config, pairs)
            measured = None if overlap is None else overlap.gap(batch)
            if measured is not None:
                found[name] = dict(zip(("gap", "mse", "pairs"), measured, strict=True))
        result[condition] = found
    return result


def _kinds(s: "Settings", zeroed: bool = False) -> Iterator[tuple[str, str | PairFn | ForkedPairs]]:
    """What can be measured in this scenario under these arguments, if it has control pairs."""
    game = _game(s)
    (obs,) = game.reset(seed=GUARD_SEED)

    def has(kind: str) -> bool:
        try:
            game.pairs(obs, kind)
        except ValueError:  # such as belief pairs where no input tells who watches
            return False
        return True

    if not has("control"):
        return
    for kind in filter(has, KINDS):
        yield kind, kind
        if zeroed and s.zero_in_other:
            yield f"{kind}_zeroed", _zeroed(game, kind, list(s.zero_in_other))
    yield "fork", ForkedPairs(**{**s.fork, "episodes": EPISODES})


def _bound(
    model: BaseAlgorithm, config: OverlapConfig, pairs: str | PairFn | ForkedPairs
) -> AgentOverlap | None:
    """The overlap to be measured; None where forked episodes have no pair."""
    try:
        overlap = AgentOverlap(model, config, pairs, seed=0)
        overlap.prepare()
    except ValueError:
        if isinstance(pairs, ForkedPairs):  # the other cannot be blinded, or it never shows
            return None
        raise
    return overlap


def _zeroed(game: Scenario, kind: str, columns: Sequence[int]) -> PairFn:
    rng = np.random.default_rng(0)

    def pairs(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        made = game.pairs(obs, kind, rng)
        other = made.other_obs.copy()
        other[:, columns] = 0.0
        return made.self_obs, other, made.valid

    return pairs


def _game(s: "Settings") -> Scenario:
    return scenario_class(s.id)(1, **s.env_kwargs)  # pyright: ignore[reportCallIssue]


def _played(model: BaseAlgorithm, s: "Settings", condition: str) -> Episodes:
    return play(
        policy_of(model, seed=0), s.id, s.env_kwargs, condition=condition,
        episodes=EPISODES, seed=GUARD_SEED,
    )  # fmt: skip


def _batch(model: BaseAlgorithm, played: Sequence[Episodes]) -> Batch:
    """What was seen, as the model's policy takes it: rows, or whole sequences with their memory."""
    if not isinstance(model, RecurrentPPO):
        rows = [e.observations[e.alive][:: max(1, int(e.alive.sum()) // ROWS)] for e in played]
        return Batch(torch.as_tensor(np.concatenate(rows)))
    longest = max(len(e.alive) for e in played)

    def joined(of: Callable[[Episodes], np.ndarray]) -> torch.Tensor:
        """(episodes, steps, ...), padded with zeros."""
        parts: list[Any] = []
        for e in played:
            array = np.moveaxis(of(e), 0, 1)
            missing = [(0, 0), (0, longest - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
            parts.append(np.pad(array, missing))
        return torch.as_tensor(np.concatenate(parts))

    obs = joined(lambda e: e.observations)
    return Batch(obs, joined(lambda e: e.alive), no_memory(model.policy))
