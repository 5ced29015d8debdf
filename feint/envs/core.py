"""The scenario core: a batch of games in struct-of-arrays form, of which every API is a view.

A scenario is written once, as numba kernels over `num_envs` games. The Gymnasium, PettingZoo and
SB3 interfaces are generic code over this class, so that they cannot drift apart.
"""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, get_args

import numpy as np
from gymnasium import spaces

from feint.envs.clock import Autoreset, Clock, rewind, tick
from feint.envs.validation import check_bool, check_choice, check_int
from feint.metrics import Metric

Array = np.ndarray
#: What a step is put together from, unless a scenario has a `_turn` of its own.
_PARTS = ("_advance", "_start", "_begin", "_observe", "_fresh", "observe")


class Step(NamedTuple):
    """What one step of the batch returns; every array is fresh."""

    observations: tuple[Array, ...]  #: one (num_envs, ...) array per external agent
    rewards: tuple[Array, ...]  #: one (num_envs,) float64 array per external agent
    terminated: Array  #: (num_envs,) bool
    truncated: Array  #: (num_envs,) bool
    labels: dict[str, Array] | None  #: deception labels of the step, when asked for
    final: "Final | None"  #: what autoreset would have hidden ("same_step" only)


class Final(NamedTuple):
    """The last observation and labels of games that ended and were reset in the same step."""

    games: Array  #: (k,) int64, indices of those games
    observations: tuple[Array, ...]  #: one (k, ...) array per external agent
    labels: dict[str, Array] | None  #: each (k, ...)


@dataclass(frozen=True)
class Pairs:
    """Self and other versions of a batch of observations.

    Attributes:
        self_obs: (n, obs_dim) float32, the self-referencing version; where no pair is defined, the
            observation as it is.
        other_obs: (n, obs_dim) float32, the other-referencing version.
        valid: (n,) bool, where the pair is defined.
    """

    self_obs: Array
    other_obs: Array
    valid: Array


class Scenario(abc.ABC):
    """A batch of `num_envs` games; subclass it to add a scenario (see CONTRIBUTING.md).

    Args:
        num_envs: games in the batch.
        max_steps: episode length at which a game is truncated.
        external: agents whose actions the caller supplies: "focal" (the one a single-agent view
            controls), "all", or names. All others are played by the scenario's own opponents.
        labels: compute deception labels at every step (`Step.labels`).
        autoreset: what happens to a game that ended: "next_step" resets it in the following step,
            "same_step" at once, "disabled" leaves that to `reset(mask=...)` and refuses to step
            before it, "freeze" leaves ended games as they are, earning nothing.

    Raises:
        ValueError: naming the argument, what it got, and what it takes.
    """

    #: Registered name, as in "feint/PhysicalDeception-v0".
    name: ClassVar[str]
    #: One line for listings: who deceives whom about what, and why.
    deception: ClassVar[str]
    #: Names of the pair kinds that `pairs` takes, each with what self and other mean.
    pair_kinds: ClassVar[dict[str, str]]
    #: The pair kind that overlap uses unless told otherwise.
    default_pairs: str = "presence"
    #: Metrics that `episode_metrics` returns, by name.
    metrics: ClassVar[dict[str, Metric]]
    #: Scripted policies of the focal agent that `scripted` takes.
    policies: ClassVar[tuple[str, ...]] = ("honest", "deceptive", "random")
    #: Evaluation conditions: constructor arguments that hold the other in one state.
    conditions: ClassVar[dict[str, dict[str, Any]]]
    #: Which condition is the counterfactual with the other absent.
    counterfactual: ClassVar[str] = "absent"
    #: Named difficulties: constructor arguments that every view takes as `preset=name`.
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    #: Agents move one after the other: only the action of the one in `to_move` counts.
    turn_based: ClassVar[bool] = False

    agents: tuple[str, ...]
    focal: str
    _given: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments, for `like`."""
        made = super().__new__(cls)
        made._given = kwargs
        return made

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Where a part is newer than the `_turn` that did it all at once, the parts count."""
        super().__init_subclass__(**kwargs)

        def age(method: str) -> int:
            return next(k for k, base in enumerate(cls.__mro__) if method in vars(base))

        if min(map(age, _PARTS)) < age("_turn"):
            cls._turn = Scenario._turn

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_steps: int,
        external: str | Sequence[str] = "focal",
        labels: bool = False,
        autoreset: Autoreset = "next_step",
    ) -> None:
        self.num_envs = check_int("num_envs", num_envs, at_least=1)
        self.max_steps = check_int("max_steps", max_steps, at_least=1)
        self.autoreset = check_choice("autoreset", autoreset, get_args(Autoreset))
        self.labels = check_bool("labels", labels)
        self.external = self._resolve_external(external)
        self._seats = [self.agents.index(agent) for agent in self.external]
        self.clock = Clock(
            np.zeros(num_envs, np.uint64),
            np.zeros(num_envs, np.int64),
            np.zeros(num_envs, np.int64),
            np.ones(num_envs, np.bool_),
        )
        self._all = np.ones(num_envs, np.bool_)
        self._every = np.arange(num_envs)
        self._forms: dict[tuple[str, ...], list[tuple[tuple[int, ...], Any]]] = {}
        self._seeded = False

    # -- what a scenario writes ---------------------------------------------------------------

    #: The games' own state: a NamedTuple of arrays, each (num_envs, ...).
    state: Any

    @abc.abstractmethod
    def observation_space(self, agent: str) -> spaces.Space:
        """The space of one agent's observation in one game."""

    @abc.abstractmethod
    def action_space(self, agent: str) -> spaces.Space:
        """The space of one agent's action in one game."""

    @abc.abstractmethod
    def _begin(self, games: Array) -> None:
        """Draw the initial state of `games`, (k,) int64 indices."""

    @abc.abstractmethod
    def _advance(self, actions: Any, active: Array) -> tuple[Array, Array]:
        """Move the games in `active` one step on.

        Args:
            actions: (num_envs, num_external, ...) as checked by `_check_actions`.
            active: (num_envs,) bool; the others must not change.

        Returns:
            rewards (num_agents, num_envs) float64, zero where not active, and terminated
            (num_envs,) bool; both fresh.
        """

    @abc.abstractmethod
    def _observe(self, agents: Sequence[str], outs: tuple[Array, ...], games: Array) -> None:
        """Write each agent's observations of `games`, (k,) indices, into its (k, ...) array."""

    @abc.abstractmethod
    def _check_actions(self, actions: Any) -> Any:
        """The external agents' actions as a (num_envs, num_external, ...) array of one dtype.

        Raises:
            ValueError: on a wrong shape or dtype, or an action outside its space.
        """

    @abc.abstractmethod
    def compute_labels(self, games: Array | None = None) -> dict[str, Array]:
        """Deception labels of the current state, each a fresh (k, ...) array.

        Args:
            games: (k,) int64 indices; all games by default.
        """

    @abc.abstractmethod
    def _pairs(self, observations: Array, kind: str, rng: np.random.Generator) -> Pairs:
        """`pairs`, for a kind that is known; `self_obs` may be anything where none is defined."""

    @abc.abstractmethod
    def scripted(self, policy: str, observations: Array, rng: np.random.Generator) -> Array:
        """Actions of a scripted policy of the focal agent, (n, ...) for (n, obs_dim)."""

    @abc.abstractmethod
    def mask_other(self, observations: Array) -> Array:
        """`observations` with all inputs about the other taken out: the free baseline."""

    @abc.abstractmethod
    def episode_metrics(self, trace: dict[str, Array]) -> dict[str, Array]:
        """Metrics of whole episodes, each (n,) float64, NaN where one is undefined.

        Args:
            trace: labels of n episodes after each step, stacked: (steps, n, ...), and "alive",
                (steps, n) bool: the steps that an episode really had.
        """

    def action_masks(self, agent: str) -> Array | None:
        """What `agent` may do now, (num_envs, num_actions) bool; None: whatever is in its space.

        In a row of an agent that is not to move everything is True, since nothing counts.
        """
        return None

    def to_move(self) -> Array:
        """Whose turn it is, (num_envs,) int64 indices into `agents` (turn-based scenarios)."""
        raise ValueError(f"{self.name}: all agents act at once; nobody's turn it is")

    def blind(self, games: Array | None = None) -> None:
        """From now on the other learns nothing from the focal agent (counterfactual re-rolls).

        Raises:
            ValueError: where the other has no way to be blinded.
        """
        raise ValueError(f"{self.name}: the other cannot be blinded in this scenario")

    def draw(self, game: int = 0) -> "Any":
        """A picture of one game (`feint.envs.render.Picture`)."""
        raise ValueError(f"{self.name} has no picture")

    # -- what every scenario gets -------------------------------------------------------------

    @property
    def others(self) -> tuple[str, ...]:
        """Those who may be deceived: agents of another role than the focal one.

        A role is an agent's name without its number; a scenario whose agents share a role
        overrides this.
        """
        mine = self.focal.rstrip("0123456789")
        return tuple(agent for agent in self.agents if agent.rstrip("0123456789") != mine)

    @classmethod
    def arguments(cls, preset: str | None, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a preset, if one is named, with those that are `given` over them.

        Raises:
            ValueError: for an unknown preset.
        """
        if preset is None:
            return given
        return {**cls.presets[check_choice("preset", preset, cls.presets)], **given}

    def pairs(
        self, observations: Array, kind: str, rng: np.random.Generator | None = None
    ) -> Pairs:
        """Self and other versions of the focal agent's `observations`.

        Args:
            observations: (n, obs_dim) float32, raw (not normalised).
            kind: one of `pair_kinds`.
            rng: for kinds that draw something; a fixed one is used when it is None.

        Raises:
            ValueError: for an unknown kind, or one that this configuration does not define.
        """
        check_choice("kind", kind, self.pair_kinds)
        made = self._pairs(observations, kind, rng or np.random.default_rng(0))
        valid = made.valid.reshape(-1, *[1] * (observations.ndim - 1))
        self_obs = np.where(valid, made.self_obs, observations)
        return Pairs(self_obs, made.other_obs, made.valid)

    def like(self, num_envs: int, **changes: Any) -> Self:
        """Another batch of the same game: made with this one's arguments, but for `changes`."""
        return type(self)(**{**self._given, "num_envs": num_envs, **changes})

    def reset(self, seed: int | None = None, mask: Array | None = None) -> tuple[Array, ...]:
        """Begin new episodes and return the external agents' observations.

        Args:
            seed: game `i` is seeded `seed + i`; without it the games go on to their next episode
                (the first reset of all then draws a seed from the operating system).
            mask: (num_envs,) bool, the games to reset; all by default.
        """
        games = self._every if mask is None else np.flatnonzero(self._check_mask(mask))
        if seed is None and not self._seeded:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 2)
        if seed is not None:
            check_int("seed", seed, at_least=0)
            self.clock.seed[games] = np.uint64(seed) + games.astype(np.uint64)
            self.clock.episode[games] = -1
            self._seeded = True
        self._start(games)
        return self.observe()

    def reseed(self, seeds: Array) -> None:
        """Give every game its own seed, (num_envs,) uint64; takes effect at the next reset."""
        self.clock.seed[:] = np.asarray(seeds, dtype=np.uint64)
        self.clock.episode[:] = -1
        self._seeded = True

    def step(self, actions: Any) -> Step:
        """Advance every game by one step.

        Args:
            actions: (num_envs, num_external, ...); the second axis may be left out for one agent.

        Raises:
            RuntimeError: before the first reset, or on an ended game that nothing has reset.
            ValueError: on an action outside its space.
        """
        clock = self.clock
        if not self._seeded:
            raise RuntimeError("call reset() before step()")
        actions = self._check_actions(actions)
        waiting = 1 in clock.done.tobytes()  # less than half the time of `np.count_nonzero`
        if waiting and self.autoreset in ("same_step", "disabled"):
            raise RuntimeError(
                "some games have ended: call reset(mask=...) before stepping them again"
            )
        active = ~clock.done if waiting else self._all
        return self._turn(actions, active)

    def _turn(self, actions: Any, active: Array) -> Step:
        """One step of the `active` games, put together from the methods that a scenario writes.

        A scenario may override it to do the same in one kernel call, which saves time; in a
        subclass that changes one of those methods this one is in force again.
        """
        rewards, terminated = self._advance(actions, active)
        clock, truncated = self.clock, np.empty(self.num_envs, np.bool_)
        frozen = self.autoreset == "freeze"
        ended = tick(clock.step, clock.done, active, terminated, truncated, self.max_steps, frozen)
        if self.autoreset == "next_step" and active is not self._all:
            self._start(np.flatnonzero(~active))
        final = None
        if ended and self.autoreset == "same_step":
            games = clock.done.nonzero()[0]
            final = Final(games, self._fresh(self.external, games), self._labels(games))
            self._start(games)
        picked = tuple([rewards[k] for k in self._seats])
        return Step(self.observe(), picked, terminated, truncated, self._labels(), final)

    def observe(self) -> tuple[Array, ...]:
        """Fresh observations of the external agents, one (num_envs, ...) array each."""
        return self._fresh(self.external, self._every)

    def observe_agent(self, agent: str) -> Array:
        """Fresh observations of one agent, external or not."""
        return self._fresh((agent,), self._every)[0]

    def _fresh(self, agents: tuple[str, ...], games: Array) -> tuple[Array, ...]:
        outs = self._blanks(agents, len(games))
        self._observe(agents, outs, games)
        return outs

    def _blanks(self, agents: tuple[str, ...], k: int) -> tuple[Array, ...]:
        """Room for `k` observations of each of `agents`."""
        forms = self._forms.get(agents)
        if forms is None:
            forms = self._forms[agents] = [_form(self.observation_space(a)) for a in agents]
        return tuple([np.empty((k, *shape), dtype) for shape, dtype in forms])

    def _labels(self, games: Array | None = None) -> dict[str, Array] | None:
        return self.compute_labels(games) if self.labels else None

    def snapshot(self) -> dict[str, Array]:
        """A copy of all that fixes the games' future, for `restore`."""
        return {
            f"{part}.{key}": value.copy()
            for part, fields in (("clock", self.clock), ("state", self.state))
            for key, value in fields._asdict().items()
        }

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Put the games back where `snapshot` found them.

        Raises:
            ValueError: for a snapshot of another scenario or another number of games.
        """
        mine = self.snapshot()
        if mine.keys() != snapshot.keys() or any(
            mine[key].shape != snapshot[key].shape for key in mine
        ):
            raise ValueError(
                f"this snapshot does not fit {self.name} with num_envs={self.num_envs}: "
                "restore it into a scenario made with the same arguments"
            )
        for key, value in snapshot.items():
            part, field = key.split(".")
            getattr(getattr(self, part), field)[...] = value
        self._seeded = True

    def _start(self, games: Array) -> None:
        clock = self.clock
        rewind(clock.episode, clock.step, clock.done, games)
        self._begin(games)

    def _resolve_external(self, external: str | Sequence[str]) -> tuple[str, ...]:
        if external == "focal":
            return (self.focal,)
        if external == "all":
            return self.agents
        alone = isinstance(external, str) or not isinstance(external, Sequence)
        names: tuple[Any, ...] = (external,) if alone else tuple(external)
        for name in names:
            if name not in self.agents:
                raise ValueError(
                    f"external: unknown agent {name!r}; the agents are {', '.join(self.agents)}"
                )
        if not names or len(set(names)) < len(names):
            raise ValueError(f"external must name one agent or more, each once, got {external!r}")
        return names

    def _check_mask(self, mask: Array) -> Array:
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(
                f"mask must be a bool array of shape ({self.num_envs},), "
                f"got {mask.dtype} of shape {mask.shape}"
            )
        return mask


def _form(space: spaces.Space) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of one observation; text is held by objects."""
    if isinstance(space, spaces.Text):
        return (), np.dtype(object)
    return space.shape, space.dtype  # pyright: ignore[reportReturnType]
