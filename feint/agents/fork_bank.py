"""A bank of forked pairs: games of the policy's own, played, forked, kept, and drawn from."""

from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from feint.agents.evaluation import Player
from feint.agents.fork import ForkedPairs, Forks, fork
from feint.envs.core import Scenario

Array = np.ndarray

#: Seeds of the bank's games are drawn from here: far above all that training and evaluation use.
_SEEDS = 2**40, 2**61


class Drawn(NamedTuple):
    """Situations from a bank: rows, or whole games for a policy with a memory."""

    blind: Array  #: (k, ...), or (k, steps, ...)
    watching: Array  #: the same
    valid: Array  #: (k,) bool: a pair, or else a situation in which there is nobody to learn
    played: Array | None  #: (k, steps) bool
    counted: Array | None  #: (k, steps) bool, the steps that are compared, or else anchored


class ForkBank:
    """Pairs of one run, by forking, made anew from the policy as it changes.

    Args:
        settings: how.
        algorithm: whose policy plays.
        scenario: the training environment's; games of the same class and arguments are played.
        seed: of the games and of what the policy samples in them.

    Raises:
        ValueError: where the scenario's other cannot be blinded, or several agents are external.
    """

    def __init__(
        self, settings: ForkedPairs, algorithm: BaseAlgorithm, scenario: Any, seed: int
    ) -> None:
        self.settings, self.algorithm, self.seed = settings, algorithm, seed
        self.sequences = hasattr(algorithm.policy, "lstm_actor")
        self.every = settings.every or (100 if isinstance(algorithm, OffPolicyAlgorithm) else 1)
        self.calls, self.made = 0, 0
        self.shares: dict[str, float] = {}  # to log
        self.share = 1.0  # of situations drawn that are pairs
        self._arrays: dict[str, Array] = {}
        self._game = _game(scenario, settings.episodes)

    def prepare(self) -> None:
        """Make the bank anew if its time has come; called before each `train`."""
        if self.calls % self.every == 0:
            self.refresh()
        self.calls += 1

    def refresh(self) -> None:
        """Play, fork, and keep what can be used.

        Raises:
            ValueError: if the first bank of all has no pair: the agent never sees a difference.
        """
        settings, rng = self.settings, np.random.default_rng((self.seed, self.made))
        self._game.reset(seed=int(rng.integers(*_SEEDS)))
        policy, act = self.algorithm.policy, _Acting(self.algorithm, int(rng.integers(2**31)))
        training = policy.training
        policy.set_training_mode(False)
        found = fork(self._game, act, settings.at, settings.horizon, settings.forks, rng)
        policy.set_training_mode(training)
        told = found.paired & (found.differs | settings.alike)
        if self.sequences:  # what was seen once is remembered
            told = found.paired & (np.logical_or.accumulate(told, axis=1))
        # Nothing was changed by the fork: what overlap must leave as it is.
        free = found.paired.any(axis=1) & ~found.taught
        free &= ~(found.paired & found.differs).any(axis=1)
        if not told.any() and self.made == 0:
            raise ValueError(
                f"{self._game.name}: in {settings.episodes} forked episodes the agent saw the "
                "same whether or not the other learns from it, so there is no pair; fork earlier "
                "(at=0, horizon=None), play more episodes, or use another kind of pairs"
            )
        eligible = found.paired & ~free[:, None]
        self.shares = {
            "fork_pairs": float(told.sum() / found.played.sum()),
            "fork_alike": float((eligible & ~found.differs).sum() / max(1, eligible.sum())),
        }
        self._keep(found, told, free)
        self.made += 1

    def _keep(self, found: Forks, told: Array, free: Array) -> None:
        if self.sequences:
            use = told.any(axis=1) | free
            counted = np.where(free[:, None], found.played, told)
            steps = int(np.flatnonzero(counted.any(axis=0)).max(initial=0)) + 1
            kept = {"played": found.played, "counted": counted}
            kept |= {"blind": found.blind, "watching": found.watching}
            self._arrays = {key: value[use, :steps] for key, value in kept.items()}
            self._arrays["valid"] = ~free[use]
        else:
            use = told | (found.played & free[:, None])
            self._arrays = {"blind": found.blind[use], "watching": found.watching[use]}
            self._arrays["valid"] = told[use]
        taught = found.played[told.any(axis=1)].sum()
        self.share = float(taught / max(1, taught + found.played[free].sum()))

    def draw(self, rows: int, rng: np.random.Generator, bystanders: bool = True) -> Drawn:
        """Situations drawn without replacement; fewer than asked for if there are no more.

        Args:
            rows: how many; of sequences, as many as hold about that many steps, at least one.
            rng: draws them.
            bystanders: draw also situations without a pair.
        """
        if not self._arrays:
            self.refresh()
        if self.sequences:
            rows = max(1, rows // self._arrays["played"].shape[1])
        pools = np.flatnonzero(self._arrays["valid"]), np.flatnonzero(~self._arrays["valid"])
        # As many pairs as there were steps of games with one, however short the horizon is.
        pairs = int(rows * self.share + rng.random()) if bystanders else rows
        wanted = pairs, rows - pairs
        chosen = np.concatenate(
            [
                rng.choice(pool, min(n, len(pool)), False)
                for pool, n in zip(pools, wanted, strict=True)
            ]
        )
        taken = {key: value[chosen] for key, value in self._arrays.items()}
        return Drawn(**{"played": None, "counted": None, **taken})

    def state(self) -> dict[str, Any]:
        """What an exact resume needs."""
        return {
            "arrays": self._arrays,
            "share": self.share,
            "shares": self.shares,
            "calls": self.calls,
            "made": self.made,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._arrays, self.shares = dict(state["arrays"]), dict(state["shares"])
        self.share, self.calls, self.made = state["share"], state["calls"], state["made"]


class _Acting(Player):
    """The policy in training, on raw observations: they are normalised as in training."""

    def __init__(self, model: BaseAlgorithm, seed: int) -> None:
        super().__init__(model, seed=seed)
        self._normalize = model.get_vec_normalize_env()

    def __call__(self, obs: Array, masks: Array | None = None) -> Array:
        seen = obs if self._normalize is None else self._normalize.normalize_obs(obs)
        return super().__call__(seen, masks)  # pyright: ignore[reportArgumentType]


def _game(scenario: Any, episodes: int) -> Scenario:
    """`episodes` games like the training environment's, whose other can be blinded."""
    if not isinstance(scenario, Scenario):
        raise ValueError(
            "forked pairs need an environment over a Feint scenario, got one over a "
            f"{type(scenario).__name__}; pass pairs=function instead"
        )
    if scenario.external != (scenario.focal,):
        raise ValueError(
            f"forked pairs need the focal agent ({scenario.focal}) alone in training, got "
            f"external={scenario.external}"
        )
    probe = scenario.like(1, autoreset="freeze", labels=False)
    probe.reset(seed=0)
    try:
        probe.blind()
    except ValueError as error:
        kinds = ", ".join(scenario.pair_kinds)
        raise ValueError(
            f"forked pairs need an other that can be blinded ({error}); use one of the pair kinds "
            f"of this scenario: {kinds}"
        ) from error
    return scenario.like(episodes, autoreset="freeze", labels=False)
