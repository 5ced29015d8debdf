"""The free baselines: an agent that acts on an altered view of its situation, untrained."""

from collections.abc import Callable
from typing import Any

import numpy as np

from feint.agents.evaluation import Act, begin
from feint.envs.core import Scenario


class Altered:
    """An agent that acts on `alter(observations)` in place of what it sees.

    It begins, draws and heeds masks as the agent does.

    Args:
        act: the agent.
        alter: observations (n, ...) to observations (n, ...), raw.
    """

    def __init__(self, act: Act, alter: Callable[[np.ndarray], np.ndarray]) -> None:
        self.act, self.alter = act, alter
        self.masked = getattr(act, "masked", False)

    def begin(self) -> None:
        """Forget what was seen so far."""
        begin(self.act)

    def reseed(self, seed: int) -> None:
        """Begin the agent's own draws anew."""
        if (reseed := getattr(self.act, "reseed", None)) is not None:
            reseed(seed)

    def __call__(self, obs: np.ndarray, *masks: Any) -> np.ndarray:
        """Actions (n, ...) for observations (n, ...)."""
        return self.act(self.alter(obs), *masks)


def masked(act: Act, scenario: Scenario) -> Altered:
    """The agent with all inputs about the other taken out (`Scenario.mask_other`)."""
    return Altered(act, scenario.mask_other)


def twin(act: Act, scenario: Scenario, kind: str = "belief") -> Altered:
    """The agent acting on the self version of what it sees; where there is none, on what it sees.

    Directed overlap with an anchor trains the agent towards just this, so whoever trains it must
    beat it: it is free wherever the self version can be computed from the observation.

    Example:
        >>> from feint.agents import evaluate, scripted
        >>> from feint.envs import scenario_class
        >>> game = scenario_class("feint/RoomSignal-v0")(1, attention=True)
        >>> liar = scripted(game, "deceptive")
        >>> found = evaluate(twin(liar, game), "feint/RoomSignal-v0", {"attention": True},
        ...                  conditions=["present"], episodes=50)
        >>> float(found["present"]["lie"].mean())
        0.0

    Args:
        act: the agent.
        scenario: that it plays, with the same arguments; any number of games.
        kind: one of its `pair_kinds`.

    Raises:
        ValueError: for a kind that the scenario does not have, or not under its arguments.
    """
    one = scenario.like(1)
    scenario.pairs(one.reset(seed=0)[0], kind)  # fails here rather than in the first game
    rng = np.random.default_rng(0)  # of kinds that draw something
    return Altered(act, lambda obs: scenario.pairs(obs, kind, rng).self_obs)


class ForkedTwin(Altered):
    """An agent that acts on what it would see, had the other learnt nothing from it.

    The self side of forked pairs at test time (`feint.agents.fork`): each game is played a second
    time beside the real one, with the same luck and the same acts, but with the other blinded, and
    the agent sees that one. It needs the simulator, and knows nothing of what the other really did.

    Example:
        >>> from feint.agents import evaluate, scripted
        >>> from feint.envs import scenario_class
        >>> game = scenario_class("feint/RoomSignal-v0")(1)
        >>> liar = ForkedTwin(scripted(game, "deceptive"))
        >>> found = evaluate(liar, "feint/RoomSignal-v0", conditions=["present"], episodes=50)
        >>> float(found["present"]["lie"].mean())
        0.0

    Args:
        act: the agent.
    """

    def __init__(self, act: Act) -> None:
        super().__init__(act, self._blind)
        self._game: Scenario | None = None

    def attend(self, game: Scenario) -> None:
        """Play beside `game`, which has just been reset.

        Raises:
            ValueError: where the other cannot be blinded.
        """
        self._game = game.like(game.num_envs, autoreset="freeze", labels=False)
        self._game.restore(game.snapshot())
        self._game.blind()

    def __call__(self, obs: np.ndarray, *masks: Any) -> np.ndarray:
        """Actions (n, ...) in the games attended to, which must be those of `obs`.

        Raises:
            RuntimeError: outside of `play` and `evaluate`.
        """
        actions = super().__call__(obs, *masks)
        assert self._game is not None
        self._game.step(actions)
        return actions

    def _blind(self, obs: np.ndarray) -> np.ndarray:
        if self._game is None:
            raise RuntimeError("a forked twin needs the games: use it in play() or evaluate()")
        return self._game.observe()[0]
