"""Checks of what a reader meets first: the page, the arguments and their errors, the presets."""

import inspect
import math
import re
import typing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from feint.envs.core import Scenario
from feint.testing.subject import (
    SEED,
    Skip,
    Subject,
    arrays,
    joint_actions,
    legal,
    legal_move,
    random_actions,
)

SECTIONS = (
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Deception structure",
    "Version History",
)
"""What every page has; `Presets` too where there are some."""

PAIR_KINDS = ("presence", "belief", "viewpoint", "control", "irrelevant")
COMMON = ("num_envs", "external", "labels", "autoreset")
"""Arguments of every scenario, which `Scenario` itself documents."""


def page(subject: Subject) -> None:
    """The class docstring is a whole page, and what is declared is described.

    All `SECTIONS`; a row of the Arguments table for every keyword but the `COMMON` ones (or in the
    table of a base class that the section names); a word on each pair kind, on those too that the
    game does not have; a word on each preset.
    `deception` is one line, metrics have descriptions, and conditions and presets name arguments
    that exist.
    """
    cls = subject.scenario
    sections = _sections(cls)
    wanted = (*SECTIONS, *(["Presets"] if cls.presets else []))
    missing = [name for name in wanted if not sections.get(name, "").strip()]
    assert not missing, f"the page lacks {', '.join(missing)}; it has {', '.join(sections)}"
    keywords = parameters(cls)
    named = _rows(cls)
    told = {*COMMON, *named}.union(
        *(_rows(base) for base in cls.__mro__[1:] if f"`{base.__name__}`" in sections["Arguments"])
    )
    untold = [name for name in keywords if name not in told]
    assert not untold, f"the page's Arguments table lacks {', '.join(untold)}"
    gone = sorted(named - set(keywords))
    assert not gone, f"the page's Arguments table has what is no argument: {', '.join(gone)}"
    for kind in dict.fromkeys((*cls.pair_kinds, *PAIR_KINDS)):
        assert _mentions(sections["Deception structure"], kind), (
            f"the page's Deception structure does not speak of {kind!r} pairs"
            + ("" if kind in cls.pair_kinds else ", not even to say why there are none")
        )
    for name in cls.presets:
        assert _mentions(sections["Presets"], name), f"the page does not speak of preset {name!r}"
    assert cls.deception.strip() and "\n" not in cls.deception, "`deception` must be one line"
    for name, metric in cls.metrics.items():
        assert metric.description.strip(), f"metric {name!r} has no description"
    for what, tables in (("condition", cls.conditions), ("preset", cls.presets)):
        for name, arguments in tables.items():
            strange = sorted(set(arguments) - set(keywords))
            assert not strange, f"{what} {name!r} has no such argument: {', '.join(strange)}"


def _sections(cls: type) -> dict[str, str]:
    """The page's sections by title."""
    text = inspect.getdoc(cls) or ""
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.M | re.S))


def _rows(cls: type) -> set[str]:
    """The names in the first column of a page's Arguments table."""
    lines = _sections(cls).get("Arguments", "").splitlines()
    table = [line.split("|")[1] for line in lines if line.startswith("|")]
    return {name for cell in table for name in re.findall(r"`(\w+)`", cell)}


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def arguments(subject: Subject) -> str:
    """A bad argument raises a ValueError that names it, whatever is bad about it.

    For every argument: an object of no type it takes (None where that is no default); by its
    annotation also NaN for floats, a negative count for integers, text for numbers, an unknown
    choice. What may be legal for some argument (-1, an infinite radius, text of any kind) must be
    taken or refused in the same way, never crash in another.
    """
    made = subject.scenario
    tried = 0
    for name, parameter in parameters(made).items():
        for bad, must in _candidates(parameter):
            tried += 1
            what = f"{name}={bad!r}"
            try:
                made(**{**subject.arguments, name: bad})  # pyright: ignore[reportArgumentType]
            except ValueError as error:
                assert _mentions(str(error), name), f"{what}: the error does not name it: {error}"
            except Exception as error:
                raise AssertionError(
                    f"{what} raises {type(error).__name__}, no ValueError: {error}"
                ) from error
            else:
                assert not must, f"{what} is accepted"
    return f"{tried} bad arguments"


def _candidates(parameter: inspect.Parameter) -> Iterator[tuple[Any, bool]]:
    """Bad arguments, each with whether it must be refused."""
    kinds = _kinds(parameter.annotation)
    yield object(), True
    if parameter.default is not None and type(None) not in kinds:
        yield None, True
    if bool in kinds:
        yield from ((2, True), ("yes", True))
    numeric = kinds & {int, float}
    if numeric:
        yield "many", str not in kinds
        yield math.nan, True
        yield math.inf, int in kinds
        yield -1, float not in kinds
        yield -1e300, float not in kinds
        yield 1e300, float not in kinds
    if kinds <= {str, type(None)} and str in kinds:
        # A path or a name may be anything; a default that is not empty says that there are choices.
        yield "no such choice", bool(parameter.default)
        yield 3, True
    if any(isinstance(kind, type) and issubclass(kind, Mapping) for kind in kinds):
        yield {"nobody": None}, True
        yield [1], True


def _kinds(annotation: Any) -> set[Any]:
    """The plain types in an annotation: `int | None` gives {int, NoneType}."""
    if typing.get_origin(annotation) is typing.Literal:
        return {type(choice) for choice in typing.get_args(annotation)}
    if isinstance(annotation, typing.types.UnionType) or (  # pyright: ignore
        typing.get_origin(annotation) is typing.Union
    ):
        return set().union(*map(_kinds, typing.get_args(annotation)))
    return {typing.get_origin(annotation) or annotation}


def parameters(cls: type[Scenario]) -> dict[str, inspect.Parameter]:
    """The constructor's parameters, annotations resolved; through `**kwargs` to the base's too.

    What a class itself hands to its base is no parameter of the class.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if base is Scenario:
            break
        if "__init__" not in vars(base):
            continue
        own = dict(inspect.signature(base.__init__, eval_str=True).parameters)
        own.pop("self", None)
        rest = [p for p in own.values() if p.kind is p.VAR_KEYWORD]
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        named = {k: p for k, p in own.items() if p.kind not in kinds and k not in found}
        found |= {k: p for k, p in named.items() if not found or _is_free(cls, p)}
        if not rest:
            break
    return found


def _is_free(cls: type[Scenario], parameter: inspect.Parameter) -> bool:
    """Whether a base's parameter can be given to `cls`, and is not filled in by it."""
    try:
        cls(**{parameter.name: parameter.default})
    except TypeError as error:
        if f"multiple values for keyword argument {parameter.name!r}" in str(error):
            return False
        raise
    return True


def presets(subject: Subject) -> str:
    """Each preset can be played in every view; an unknown one is refused by name."""
    names = subject.scenario.presets
    for make in _views(subject).values():
        with suppress(Skip):
            try:
                make(preset="no such preset")
            except ValueError as error:
                assert "preset" in str(error), f"the error does not name the preset: {error}"
            else:
                raise AssertionError("an unknown preset is accepted")
    if not names:
        raise Skip("there are none")
    for name in names:
        for view, make in _views(subject.with_arguments(preset=name)).items():
            with suppress(Skip):
                try:
                    _assert_plays(make())
                except Skip:
                    raise
                except Exception as error:
                    raise AssertionError(f"preset {name!r}, {view}: {error}") from error
    return ", ".join(names)


def _views(subject: Subject) -> dict[str, Any]:
    batch = {
        f"VectorEnv {mode.value}": lambda mode=mode, **kw: subject.vector(
            3, autoreset_mode=mode, **kw
        )
        for mode in AutoresetMode
    }
    return {"Env": subject.single, **batch, "ParallelEnv": subject.parallel, "AEC": subject.aec}


def _assert_plays(env: Any) -> None:
    """A few legal steps, up to the end of an episode: all that comes out is finite."""
    env.reset(seed=SEED)
    game = env.unwrapped.scenario
    if hasattr(env, "agent_iter"):
        rng = np.random.default_rng(SEED)
        for _, agent in zip(range(8), env.agent_iter(), strict=False):
            obs, reward, ended, cut, info = env.last()
            assert math.isfinite(reward), f"reward {reward} of {agent}"
            _assert_finite(obs)
            env.action_space(agent).seed(int(rng.integers(2**31)))
            mask = info.get("action_mask")
            env.step(None if ended or cut else env.action_space(agent).sample(mask))
        return
    if hasattr(env, "possible_agents"):
        for joint in joint_actions(game, 8, SEED):
            _assert_finite(env.step(dict(zip(env.agents, legal(game, joint)[0], strict=True)))[:2])
            if not env.agents:
                return
        return
    batched = hasattr(env, "num_envs")
    space, shape = (env.single_action_space, (8, 3)) if batched else (env.action_space, (8,))
    for action in random_actions(space, shape, SEED):
        step = env.step(legal_move(env, action))
        _assert_finite(step[:2])
        if np.any(step[2]) or np.any(step[3]):
            return


def _assert_finite(value: Any) -> None:
    for array in arrays(list(value.values()) if isinstance(value, Mapping) else value):
        assert array.dtype.kind not in "fc" or np.isfinite(array).all(), f"not finite: {array}"
