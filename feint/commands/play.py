"""`feint play`: watch a scripted policy or a saved agent, in the terminal or as a GIF."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from tyro.conf import Positional, arg

from feint.commands.arguments import env_arguments, parse_pairs

if TYPE_CHECKING:
    from feint.envs.core import Scenario
    from feint.envs.film import Act, Moment

SIZE = 400  #: pixels of the film
COMMON = ("belief", "misled", "deciding", "truth", "watched")


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
        from gymnasium.error import DependencyNotInstalled

        try:
            return self._run()
        except DependencyNotInstalled as error:
            raise ValueError(str(error)) from error

    def _run(self) -> int:
        from feint.envs.film import frames as film_frames
        from feint.envs.film import gif, moments
        from feint.envs.render import Screen
        from feint.envs.validation import check_float, check_int
        from feint.files import check_writable, write_atomically

        check_int("episodes", self.episodes, at_least=1)
        check_int("seed", self.seed, at_least=0)
        check_float("fps", self.fps, at_least=0.1, at_most=100.0)
        if self.out is not None:
            if self.out.suffix != ".gif":
                raise ValueError(f"--out must end in .gif, got {self.out}")
            check_writable(self.out)
        game, title, act = self._cast()
        mode = self.render or (None if self.out else "ansi")
        screen = Screen(mode, max(1, round(self.fps)))
        frames: list[np.ndarray] = []
        try:
            for seed in range(self.seed, self.seed + self.episodes):
                reel = []
                for moment in moments(game, act, seed):
                    if mode == "ansi":
                        print(_step(moment, f"{title}, seed {seed}"))
                    elif mode == "human":
                        screen.show(moment.picture)
                    reel.append(moment)
                if self.out is not None:
                    frames += film_frames({title: reel}, beliefs=True, size=SIZE)
        finally:
            screen.close()
        if self.out is not None:
            write_atomically(self.out, gif(frames, self.fps))
            print(f"wrote {self.out}: {self.episodes} episode(s), {len(frames)} frames")
        return 0

    def _cast(self) -> "tuple[Scenario, str, Act]":
        """The game, the title of whoever plays it, and how it plays."""
        from feint.envs import scenario_class
        from feint.envs.validation import check_choice

        cls = scenario_class(self.env)
        if self.agent is None:
            policy = check_choice("policy", self.policy or "deceptive", cls.policies)
            game = self._game(cls, {})
            rng = np.random.default_rng(self.seed)
            return game, policy, lambda obs: game.scripted(policy, obs, rng)
        if self.policy is not None:
            raise ValueError("--policy and --agent exclude each other: name one of them")
        from feint.agents import load_agent, policy_of

        model, card = load_agent(self.agent, scenario=self.env)
        game = self._game(cls, card.env_kwargs)
        if game.observation_space(game.focal) != model.observation_space:
            raise ValueError(
                f"{self.agent} was trained with {card.env_kwargs or 'the defaults'}; these "
                "arguments give other observations: leave out --preset or --env-kwargs"
            )
        return game, self.agent.stem, policy_of(model, seed=self.seed)

    def _game(self, cls: "type[Scenario]", given: dict[str, Any]) -> "Scenario":
        from feint.envs.validation import check_choice

        held: dict[str, Any] = {}
        if self.condition != "any":
            held = cls.conditions[check_choice("condition", self.condition, cls.conditions)]
        chosen = env_arguments(cls, self.env_kwargs, self.preset)
        mine = parse_pairs("env-kwargs", self.env_kwargs)
        mine.pop("preset", None)
        kwargs = {**given, **chosen, **held, **mine}
        return cls(1, autoreset="freeze", **kwargs)  # pyright: ignore[reportCallIssue]


def _step(moment: "Moment", title: str) -> str:
    """One step as text: picture, what was done and earned, labels."""
    lines = [f"-- {title}, step {moment.step} ".ljust(78, "-"), moment.picture.ansi, ""]
    if moment.step:
        did = f"action {_value(moment.action)}"
        lines.append(f"{did}; reward {moment.reward:+.3f}, so far {moment.earned:+.3f}")
    lines.append(_told({name: moment.labels[name] for name in COMMON}))
    others = {name: value for name, value in moment.labels.items() if name not in COMMON}
    lines += [_told(others)] if others else []
    lines += [f"the episode is {moment.end}"] if moment.end else []
    return "\n".join(lines) + "\n"


def _told(labels: dict[str, Any]) -> str:
    """Labels in one line; what is False is left out, but for the common ones."""
    words = []
    for name, value in labels.items():
        if not isinstance(value, bool):
            words.append(f"{name} {_value(value)}")
        elif value or name in COMMON:
            words.append(name if value else f"not {name}")
    return ", ".join(words)


def _value(value: Any) -> str:
    """A label or an action, short."""
    if isinstance(value, str):
        return repr(value)
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return str(value)
    return f"{value:.3f}" if array.ndim == 0 else np.array2string(array, precision=2)
