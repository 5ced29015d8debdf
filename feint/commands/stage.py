"""What `feint play` and `feint enjoy` share: the game, the agent, and how episodes are shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from feint.commands.arguments import env_arguments, parse_pairs

if TYPE_CHECKING:
    from feint.agents import AgentCard
    from feint.envs.core import Scenario
    from feint.envs.film import Act, Moment

SIZE = 400  #: pixels of the film
COMMON = ("belief", "misled", "deciding", "truth", "watched")

Show = Callable[["Scenario", "Act", str, int], "list[Moment]"]
"""Plays one episode: game, agent, title, seed."""


@contextmanager
def stage(out: Path | None, fps: float, mode: Literal["ansi", "human"] | None) -> Iterator[Show]:
    """Shows episodes as they are played; at the end the film of all of them is in `out`.

    Args:
        out: GIF to write; None for none.
        fps: steps per second of the GIF and the window.
        mode: "ansi" prints each step, "human" opens a window, None shows nothing.

    Raises:
        ValueError: for a file that cannot be written, or a missing extra.
    """
    from gymnasium.error import DependencyNotInstalled

    from feint.envs.film import frames, gif, moments
    from feint.envs.render import Screen
    from feint.envs.validation import check_float
    from feint.files import check_writable, write_atomically

    check_float("fps", fps, at_least=0.1, at_most=100.0)
    if out is not None:
        if out.suffix != ".gif":
            raise ValueError(f"--out must end in .gif, got {out}")
        check_writable(out)
    shown: list[np.ndarray] = []
    played = 0

    def show(game: "Scenario", act: "Act", title: str, seed: int) -> "list[Moment]":
        nonlocal played
        reel = []
        for moment in moments(game, act, seed):
            if mode == "ansi":
                print(_step(moment, f"{title}, seed {seed}"))
            elif mode == "human":
                screen.show(moment.picture)
            reel.append(moment)
        if out is not None:
            shown.extend(frames({title: reel}, beliefs=True, size=SIZE))
        played += 1
        return reel

    try:
        screen = Screen(mode, max(1, round(fps)))
        try:
            yield show
        finally:
            screen.close()
        if out is not None:
            write_atomically(out, gif(shown, fps))
            print(f"wrote {out}: {played} episode(s), {len(shown)} frames")
    except DependencyNotInstalled as error:
        raise ValueError(str(error)) from error


def game_of(
    cls: "type[Scenario]",
    given: dict[str, Any],
    condition: str,
    items: tuple[str, ...],
    preset: str | None = None,
) -> "Scenario":
    """One game: `given` under the preset, under the condition, under `--env-kwargs`.

    Raises:
        ValueError: for an unknown condition or arguments that the scenario refuses.
    """
    from feint.envs.validation import check_choice

    held: dict[str, Any] = {}
    if condition != "any":
        held = cls.conditions[check_choice("condition", condition, cls.conditions)]
    chosen = env_arguments(cls, items, preset)
    mine = parse_pairs("env-kwargs", items)
    mine.pop("preset", None)
    kwargs = {**given, **chosen, **held, **mine}
    return cls(1, autoreset="freeze", **kwargs)  # pyright: ignore[reportCallIssue]


def saved(path: Path, env_id: str | None = None) -> "tuple[AgentCard, Callable[..., Act]]":
    """A checkpoint's card, and a function that makes the agent a player of a given game.

    That function takes the game, `seed` and `deterministic`, and refuses a game whose observations
    are other than those that the agent was trained with.

    Raises:
        ValueError: for a damaged checkpoint, or one of another scenario than `env_id`.
    """
    from feint.agents import load_agent, policy_of

    model, card = load_agent(path, scenario=env_id)

    def player(game: "Scenario", *, seed: int, deterministic: bool = False) -> "Act":
        if game.observation_space(game.focal) != model.observation_space:
            raise ValueError(
                f"{path} was trained with {card.env_kwargs or 'the defaults'}; these "
                "arguments give other observations: leave out --preset or --env-kwargs"
            )
        act = policy_of(model, deterministic, seed)

        def play(obs: np.ndarray) -> np.ndarray:
            if game.clock.step[0] == 0:
                act.begin()
            return act(obs, game.action_masks(game.focal) if act.masked else None)

        return play

    return card, player


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
