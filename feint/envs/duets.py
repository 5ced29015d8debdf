"""What games of two share: one choice each in a step, by the caller, a callable, or the script.

`Duet` leaves a game its rules, its spaces and its layout.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from feint.envs import validation as check
from feint.envs.core import Array, Pairs, Scenario

#: In place of a choice: the script's.
NONE = -1


class Duet(Scenario):
    """A game of two whose pairs and masks are methods of its layout.

    A subclass sets the attributes below while it is made.
    """

    #: Where things stand in the focal agent's observation: a method for each kind of pair, which
    #: takes observations and a generator, and `alone`, which takes the other's inputs out.
    layout: Any
    _boxes: dict[str, spaces.Box]
    #: By agent; other than `Discrete` only where `_check_choices` is the scenario's own.
    _actions: dict[str, Any]
    _opponents: dict[str, Callable[[Array], Any]]

    def observation_space(self, agent: str) -> spaces.Space:
        """See `Scenario.observation_space`; the same object at every call."""
        return self._boxes[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """See `Scenario.action_space`; the same object at every call."""
        return self._actions[agent]

    def _check_actions(self, actions: Any) -> Array:
        return self._check_choices("actions", actions, self.external)

    def _check_choices(self, name: str, chosen: Any, agents: Sequence[str]) -> Array:
        """What `agents` chose, (num_envs, len(agents)) int64, or ValueError."""
        sizes = [int(self._actions[agent].n) for agent in agents]
        return check.check_moves(name, chosen, self.num_envs, sizes)

    def _choices(self, agent: str, actions: Array) -> Array:
        """What `agent` does in every game, (num_envs,); NONE where it follows the script."""
        if agent in self.external:
            return np.ascontiguousarray(actions[:, self.external.index(agent)])
        if agent in self._opponents:
            chosen = self._opponents[agent](self.observe_agent(agent))
            return self._check_choices(f"actions of opponents[{agent!r}]", chosen, (agent,))[:, 0]
        return np.full(self.num_envs, NONE)

    def _pairs(self, observations: Array, kind: str, rng: np.random.Generator) -> Pairs:
        return getattr(self.layout, kind)(observations, rng)

    def mask_other(self, observations: Array) -> Array:
        """`observations` as if the agent were alone."""
        return self.layout.alone(observations)
