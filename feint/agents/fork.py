"""Self/other pairs by forking the episode: the belief pair where no input tells who watches.

The agent plays games of its own, and each is played once more with the same luck and the same
actions, but with an other that, from some step on, learns nothing from them (`Scenario.blind`).
What the agent sees at the same step of both branches is a pair: self in the blind branch, other in
the one that was really played. Any scenario whose other can be blinded has such pairs.

Where to fork. A fork at the start says: the other never learnt anything from me. Where watching
shows only in how the other reacts, it must be early, since reactions take time to show. But what
the branches then differ in is the other's whole history, its place included, and a policy without
memory that is to treat one place of the other like another place loses its attention to it. A late
fork with a short horizon keeps the scene and changes only whether the other learns; it needs
something in the observation that tells this soon after.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from feint.agents.evaluation import Act, Player, choose
from feint.agents.evaluation import begin as forget
from feint.envs.core import Scenario
from feint.envs.validation import check_bool, check_int

Array = np.ndarray

#: Seeds of the bank's games are drawn from here: far above all that training and evaluation use.
_SEEDS = 2**40, 2**61


@dataclass(frozen=True)
class ForkedPairs:
    """How to make pairs by forking; give it as `pairs` of `SelfOtherOverlap`, or as `soo_pairs`.

    Attributes:
        episodes: games that the agent plays for one bank of pairs.
        at: the step at which the other is blinded, counted from 0, or "uniform": at one of the
            steps that the game had, drawn for each.
        horizon: steps from the fork on that give pairs, its own step included; None for all.
        forks: of each game, with `at="uniform"`; they cost less than games.
        every: calls of `train` after which the bank is made anew; None for 1, and for 100 with
            off-policy algorithms, which train a little after each few steps.
        alike: pair also steps at which the branches look alike. They carry no information.

    Raises:
        ValueError: for values out of range.
    """

    episodes: int = 512
    at: int | str = 0
    horizon: int | None = None
    forks: int = 1
    every: int | None = None
    alike: bool = False

    def __post_init__(self) -> None:
        check_int("episodes", self.episodes, at_least=1)
        check_int("forks", self.forks, at_least=1)
        if isinstance(self.at, str):
            if self.at != "uniform":
                raise ValueError(f"at must be a step (0, 1, ...) or 'uniform', got {self.at!r}")
        else:
            check_int("at", self.at, at_least=0)
            if self.forks > 1:
                raise ValueError(
                    f"forks={self.forks} at one step are all the same; use at='uniform', or forks=1"
                )
        for name in ("horizon", "every"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), at_least=1)
        check_bool("alike", self.alike)


class Forks(NamedTuple):
    """Both branches of n games; the first axis is the game, the second the step."""

    blind: Array  #: (n, steps, ...), what the agent saw where the other learnt nothing
    watching: Array  #: (n, steps, ...), what it saw in the game as it was really played
    played: Array  #: (n, steps) bool, steps that the real game had
    paired: Array  #: (n, steps) bool, from the fork to the horizon, both branches alive
    differs: Array  #: (n, steps) bool, the agent sees another thing in the two branches
    taught: Array  #: (n,) bool, somebody learnt from the agent who in the blind branch does not


def fork(
    game: Scenario,
    act: Act,
    at: int | str = 0,
    horizon: int | None = None,
    forks: int = 1,
    rng: np.random.Generator | None = None,
) -> Forks:
    """Play each game from where it is to its end, and then again with the other blinded.

    Example:
        >>> from feint.agents import scripted
        >>> from feint.envs import scenario_class
        >>> game = scenario_class("feint/PhysicalDeception-v0")(16, autoreset="freeze")
        >>> _ = game.reset(seed=0)
        >>> found = fork(game, scripted(game, "deceptive"))
        >>> bool(found.differs[found.taught].any())
        True

    Args:
        game: just reset, with `autoreset="freeze"` and the focal agent alone external.
        act: the agent.
        at: see `ForkedPairs`, and so for `horizon` and `forks`.
        horizon: steps from the fork on that are paired; None for all.
        forks: of each game; their rows follow each other, game by game.
        rng: draws the steps of `at="uniform"`.

    Raises:
        ValueError: where the other cannot be blinded.
    """
    start = game.snapshot()
    real = _play(game, act)
    rng = rng or np.random.default_rng(0)
    found = []
    for _ in range(forks):
        begin = np.full(game.num_envs, at)
        if at == "uniform":
            begin = np.floor(rng.random(game.num_envs) * real.length)
        game.restore(start)
        found.append(_fork(game, real, begin, horizon))
    if forks == 1:
        return found[0]
    return Forks(*[np.concatenate(parts) for parts in zip(*found, strict=True)])


class _Real(NamedTuple):
    """Games as they were really played."""

    seen: list[Array]  #: (n, ...) a step, what the agent saw before each action
    actions: list[Array]  #: (n, ...) a step
    played: Array  #: (n, steps) bool
    length: Array  #: (n,) int
    watched: Array  #: (n,) bool, somebody learnt from the agent


def _play(game: Scenario, act: Act) -> _Real:
    forget(act)
    seen, actions, played = [], [], []
    watched = np.zeros(game.num_envs, np.bool_)
    obs = game.observe()[0]
    while not (done := game.clock.done.copy()).all():
        seen.append(obs)
        actions.append(choose(act, game, obs))
        played.append(~done)
        obs = game.step(actions[-1]).observations[0]
        learns = game.compute_labels()["watched"].reshape(game.num_envs, -1).any(axis=1)
        watched |= learns & ~done
    alive = _by_game(played)
    return _Real(seen, actions, alive, alive.sum(axis=1), watched)


def _fork(game: Scenario, real: _Real, begin: Array, horizon: int | None) -> Forks:
    """The same games and acts once more, the other blinded at step `begin` of each, (n,)."""
    end = real.length if horizon is None else np.minimum(real.length, begin + horizon)
    blind, alive = list(real.seen), np.zeros_like(real.played)
    cut = np.zeros(game.num_envs, np.bool_)
    for step in range(int(end.max())):
        if (now := begin == step).any():
            before = game.snapshot()
            game.blind(now)
            cut |= _changed(before, game.snapshot())
        blind[step] = game.observe()[0]
        alive[:, step] = ~game.clock.done
        game.step(real.actions[step])
    a, b, steps = _by_game(blind), _by_game(real.seen), np.arange(len(blind))
    within = (steps >= begin[:, None]) & (steps < end[:, None])
    return Forks(
        blind=a,
        watching=b,
        played=real.played,
        paired=within & real.played & alive,
        differs=(a != b).reshape(*a.shape[:2], -1).any(axis=2),
        taught=real.watched & cut,
    )


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
        self, settings: ForkedPairs, algorithm: BaseAlgorithm, scenario: Scenario, seed: int
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
        pairs = round(rows * self.share) if bystanders else rows
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


def _changed(before: dict[str, Array], after: dict[str, Array]) -> Array:
    """Games of which two snapshots are not the same, (n,) bool."""
    differ = [before[key] != after[key] for key in before if key.startswith("state.")]
    return np.any([d.reshape(len(d), -1).any(axis=1) for d in differ], axis=0)


def _by_game(steps: list[Array]) -> Array:
    return np.stack(steps, axis=1)
