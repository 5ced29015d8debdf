"""`feint play`: watch a scripted policy or a saved agent, in the terminal or as a GIF."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from tyro.conf import Positional, arg

from feint.commands.stage import game_of, saved, stage

if TYPE_CHECKING:
    from feint.envs.core import Scenario
    from feint.envs.film import Act


@dataclass(frozen=True)
class Play:
    """Watch an episode: a scripted policy's, or a saved agent's.

    Without --out, every step is printed: the picture in characters, what the agent did and got, and
    the deception labels (what the observer believes of the truth, whether it is misled). With --out
    the episode becomes a GIF, which needs the render extra.

    Watch the scripted liar, then the honest agent from the same start:

    feint play RoomSignal --policy deceptive --condition present

    feint play RoomSignal --policy honest --condition present

    feint play PhysicalDeception --policy deceptive --condition present --out liar.gif
    """

    env: Annotated[Positional[str], arg(metavar="ID")]
    """Scenario; `feint envs` lists them."""
    policy: str | None = None
    """A scripted policy: honest, deceptive, random, or another of the scenario's; default
    deceptive."""
    agent: Path | None = None
    """A checkpoint of `feint train` or `feint demo`, in place of a policy."""
    out: Path | None = None
    """Write a GIF here."""
    render: Literal["ansi", "human"] | None = None
    """ansi prints each step, human opens a window; default ansi, or nothing if there is --out."""
    condition: str = "present"
    """Hold the other in one state: present, absent, or another of the scenario's conditions; any:
    as the scenario draws it."""
    preset: str | None = None
    """A named difficulty of the scenario."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenario, as key:value; they win over condition and preset."""
    episodes: int = 1
    """Episodes to play, one after the other."""
    seed: int = 0
    """Seed of the first episode; the next has seed + 1."""
    fps: float = 4.0
    """Steps per second of the GIF, and of the window."""

    def run(self) -> int:
        """Play and show."""
        from feint.envs.validation import check_int

        check_int("episodes", self.episodes, at_least=1)
        check_int("seed", self.seed, at_least=0)
        mode = self.render or (None if self.out else "ansi")
        with stage(self.out, self.fps, mode) as show:
            game, title, act = self._cast()
            for seed in range(self.seed, self.seed + self.episodes):
                show(game, act, title, seed)
        return 0

    def _cast(self) -> "tuple[Scenario, str, Act]":
        """The game, the title of whoever plays it, and how it plays."""
        from feint.envs import scenario_class
        from feint.envs.validation import check_choice

        cls = scenario_class(self.env)
        if self.agent is None:
            policy = check_choice("policy", self.policy or "deceptive", cls.policies)
            game = game_of(cls, {}, self.condition, self.env_kwargs, self.preset)
            rng = np.random.default_rng(self.seed)
            return game, policy, lambda obs: game.scripted(policy, obs, rng)
        if self.policy is not None:
            raise ValueError("--policy and --agent exclude each other: name one of them")
        card, load = saved(self.agent, self.env)
        given = card.env_kwargs
        game = game_of(cls, given, self.condition, self.env_kwargs, self.preset)
        return game, self.agent.stem, load(game, seed=self.seed)
