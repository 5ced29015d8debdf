"""Self/other pairs by forking the episode: the belief pair where no input tells who watches.

The agent plays games of its own, and each is played once more with the same luck and the same
actions, but with an other that, from some step on, learns nothing from them (`Scenario.blind`).
What the agent sees at the same step of both branches is a pair: self in the blind branch, other in
the one that was really played. Any scenario whose other can be blinded has such pairs.

Where to fork. At the start (the default) a pair says: the other never learnt anything from me. A
policy with a memory needs that, since where watching shows only in how the other reacts, it shows
late. But then the branches differ in all that the other did since, its place included, and a policy
without memory, which is to treat one place of the other like another, loses some of its attention
to it. For such a policy fork late and briefly where what it sees tells at once that the other
learns: `ForkedPairs(at="uniform", horizon=1, forks=4)` keeps the scene, and does what the
scenario's own belief pair does. Where nothing in its observation tells, a policy without memory
acts alike before a blind other, and no pair can make it better than it is there.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from feint.agents.evaluation import Act, choose
from feint.agents.evaluation import begin as forget
from feint.envs.core import Scenario
from feint.envs.validation import check_bool, check_int

Array = np.ndarray


@dataclass(frozen=True)
class ForkedPairs:
    """How to make pairs by forking; give it as `pairs` of `SelfOtherOverlap`, or as `soo_pairs`.

    Example:
        In the plain lure game no input tells whether red watches: a policy with a memory must
        infer it from where red goes, and only forked episodes give a belief pair.

        >>> from feint.agents import ForkedPairs, SOORecurrentPPO, make_vec_env
        >>> env = make_vec_env("feint/PhysicalDeception-v0", 8, seed=0)
        >>> model = SOORecurrentPPO(
        ...     "MlpLstmPolicy", env, n_steps=25, batch_size=100, soo_task_coef=0.0,
        ...     soo_pairs=ForkedPairs(episodes=64), seed=0,
        ... ).learn(200)
        >>> 0.0 < model.logger.name_to_value["soo/fork_alike"] < 1.0
        True

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
        if at == "uniform":
            begin = np.floor(rng.random(game.num_envs) * real.length)
        else:
            begin = np.full(game.num_envs, at)
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


def _changed(before: dict[str, Array], after: dict[str, Array]) -> Array:
    """Games of which two snapshots are not the same, (n,) bool."""
    differ = [before[key] != after[key] for key in before if key.startswith("state.")]
    return np.any([d.reshape(len(d), -1).any(axis=1) for d in differ], axis=0)


def _by_game(steps: list[Array]) -> Array:
    return np.stack(steps, axis=1)
