"""Checks of the views against Gymnasium's, SB3's and PettingZoo's own test suites."""

import contextlib
import importlib.util
import io
import json
import os
import pickle
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from feint.testing.subject import (
    SEED,
    Skip,
    Subject,
    assert_refused,
    assert_same,
    joint_actions,
    legal,
    legal_move,
    outside,
    random_actions,
    spoilt,
)


@contextlib.contextmanager
def _strict() -> Iterator[None]:
    """Warnings are errors (but for unbounded observations), nothing is printed, no window opens."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch.dict(os.environ, {"SDL_VIDEODRIVER": "dummy"}),
    ):
        warnings.filterwarnings("error", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*(minimum|maximum) value is -?infinit")
        yield


def _can_draw() -> bool:
    return importlib.util.find_spec("pygame") is not None


def gymnasium_api(subject: Subject) -> None:
    """Gymnasium's `check_env`, and an episode under the passive checker, without a warning."""
    from gymnasium.utils.env_checker import check_env

    with _strict():
        env = subject.single()
        check_env(env.unwrapped, skip_render_check=not _can_draw())
        env.reset(seed=SEED)
        for action in random_actions(env.action_space, (1000,), SEED):
            *_, terminated, truncated, _ = env.step(legal_move(env, action))
            if terminated or truncated:
                break
        else:
            raise AssertionError("an episode of 1000 random steps did not end")
        env.close()


def sb3_api(subject: Subject) -> None:
    """SB3's `check_env`."""
    if importlib.util.find_spec("stable_baselines3") is None:
        raise Skip("stable-baselines3 is not installed")
    env = subject.single()
    if isinstance(env.observation_space, spaces.Text):
        raise Skip("SB3 has no Text space")
    from stable_baselines3.common.env_checker import check_env

    check_env(env.unwrapped, warn=False)
    env.close()


def pettingzoo_parallel(subject: Subject) -> None:
    """PettingZoo's `parallel_api_test` and `parallel_seed_test`."""
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    env = subject.parallel()
    with _strict():
        parallel_api_test(env, num_cycles=200)
        parallel_seed_test(subject.parallel, num_cycles=200)


def pettingzoo_aec(subject: Subject) -> None:
    """PettingZoo's `api_test` and `seed_test`."""
    from pettingzoo.test import api_test, seed_test

    env = subject.aec()
    with _strict():
        # PettingZoo asks for finite, varied bounds, which positions in metres do not have.
        warnings.filterwarnings("ignore", category=UserWarning)
        api_test(env, num_cycles=200)
        seed_test(subject.aec, num_cycles=50)


def pettingzoo_max_cycles(subject: Subject) -> None:
    """PettingZoo's `max_cycles_test`, where episodes do not end by themselves."""
    from pettingzoo.test import max_cycles_test

    subject.parallel().close()
    game = subject.core(64, external="all", autoreset="freeze")
    game.reset(seed=SEED)
    for actions in joint_actions(game, min(game.max_steps, 8), SEED):
        if game.step(legal(game, actions)).terminated.any():
            raise Skip("episodes end by themselves")
    with _strict():
        max_cycles_test(SimpleNamespace(parallel_env=subject.parallel, env=subject.aec))


def step_limit(subject: Subject) -> None:
    """Episodes are truncated at the scenario's own limit, or at `max_episode_steps`."""
    _assert_truncates(subject.vector(16), subject.core(1).max_steps)
    limit = 3
    _assert_truncates(subject.vector(16, max_episode_steps=limit), limit)
    single = subject.single(max_episode_steps=limit)
    single.reset(seed=SEED)
    for t, action in enumerate(random_actions(single.action_space, (limit,), SEED), start=1):
        *_, terminated, truncated, _ = single.step(legal_move(single, action))
        if terminated:  # Gymnasium's own limit may call its last step truncated as well
            break
        assert truncated == (t == limit), (
            f"make(max_episode_steps={limit}): truncated is {truncated} after {t} steps"
        )


def _assert_truncates(env: Any, longest: int) -> None:
    env.reset(seed=SEED)
    running = np.ones(env.num_envs, bool)
    stream = random_actions(env.single_action_space, (longest, env.num_envs), SEED)
    for t, actions in enumerate(stream, start=1):
        *_, terminated, truncated, _ = env.step(legal_move(env, actions))
        due = running & ~terminated if t == longest else np.zeros_like(running)
        assert (truncated[running] == due[running]).all(), (
            f"with at most {longest} steps, truncated is {truncated} after {t}"
        )
        running &= ~(terminated | truncated)
        if not running.any():
            return


def spec_json(subject: Subject) -> None:
    """`env.spec` survives JSON and makes the same environment again."""
    try:
        json.dumps(dict(subject.kwargs))
    except TypeError as error:
        raise Skip("these arguments are not JSON") from error
    env = subject.single()
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec, f"got {again.spec}, wanted {env.spec}"
    assert_same(again.reset(seed=SEED), env.reset(seed=SEED), "the first observation")
    with contextlib.suppress(Skip):
        _pettingzoo_specs(subject)


def _pettingzoo_specs(subject: Subject) -> None:
    """PettingZoo's specs have no JSON form of their own: they must survive pickling."""
    from pettingzoo.env_registry import registration

    subject.parallel().close()  # raises Skip where there is none
    kinds: tuple[Any, ...] = ("parallel", "aec")
    for kind in kinds:
        if subject.pettingzoo_id not in registration._get_registry(kind):
            continue
        spec: Any = registration.spec(kind, subject.pettingzoo_id)
        again = pickle.loads(pickle.dumps(spec))
        assert again == spec, f"pickled, PettingZoo's {kind} spec is {again}, not {spec}"
        env: Any = again.make(**subject.kwargs)
        env.reset(seed=SEED)
        assert env.agents, f"PettingZoo's {kind} view, made from its pickled spec, has no agents"


def pickling(subject: Subject) -> None:
    """A pickled environment goes on as the original does: fresh, and at any step of a game."""
    for env in (subject.single(labels=True), subject.vector(3, labels=True)):
        wanted: Any = env.reset(seed=SEED)
        copied = pickle.loads(pickle.dumps(subject.single(labels=True)))
        if isinstance(env, gym.vector.VectorEnv):
            copied = pickle.loads(pickle.dumps(subject.vector(3, labels=True)))
        assert_same(copied.reset(seed=SEED), wanted, "the first observation")
        older: list[Any] = []  # pickled after the first step, and played to the end
        steps = min(subject.core(1).max_steps, 60)
        for t, action in enumerate(random_actions(env.action_space, (steps,), SEED)):
            copied, move = pickle.loads(pickle.dumps(env)), legal_move(env, action)
            older += [pickle.loads(pickle.dumps(env))] if t == 1 else []
            wanted = env.step(move)
            for again in (copied, *older):
                assert_same(again.step(move), wanted, "a step of the pickled environment")
            if isinstance(env, gym.Env) and (wanted[2] or wanted[3]):
                break
    with contextlib.suppress(Skip):
        _pickled_parallel(subject)


def _pickled_parallel(subject: Subject) -> None:
    env = subject.parallel()
    env.reset(seed=SEED)
    for joint in joint_actions(env.unwrapped.scenario, 8, SEED):
        moves = legal(env.unwrapped.scenario, joint)[0]
        actions = dict(zip(env.agents, moves, strict=True))
        copied = pickle.loads(pickle.dumps(env))
        wanted = env.step(actions)
        assert_same(copied.step(actions), wanted, "a step of the pickled PettingZoo environment")
        if not env.agents:
            break


def illegal_actions(subject: Subject) -> None:
    """An action outside its space raises ValueError in every view, and changes nothing."""
    game = subject.core(3, external="all", autoreset="disabled")
    game.reset(seed=SEED)
    moves = joint_actions(game, 1, SEED)[0]
    for k, agent in enumerate(game.external):
        for bad in outside(game.action_space(agent)):
            actions = spoilt(moves, 1, k, bad)
            assert_refused(game, lambda actions=actions: game.step(actions), f"{agent}: {bad!r}")
    single, batch = subject.single().unwrapped, subject.vector(3)
    single.reset(seed=SEED)
    batch.reset(seed=SEED)
    for bad in outside(single.action_space):
        core: Any = single.scenario  # pyright: ignore[reportAttributeAccessIssue]
        assert_refused(core, lambda bad=bad: single.step(bad), f"Env: {bad!r}")
        core = batch.unwrapped.scenario  # pyright: ignore[reportAttributeAccessIssue]
        many = np.stack([np.asarray(bad)] * 3)
        assert_refused(core, lambda many=many: batch.step(many), f"VectorEnv: {bad!r}")
    with contextlib.suppress(Skip):
        _refused_by_pettingzoo(subject)


def _refused_by_pettingzoo(subject: Subject) -> None:
    env = subject.parallel()
    env.reset(seed=SEED)
    legal = {agent: env.action_space(agent).sample() for agent in env.agents}
    for agent in env.agents:
        for bad in outside(env.action_space(agent)):
            actions = {**legal, agent: bad}
            assert_refused(
                env.unwrapped.scenario,
                lambda actions=actions: env.step(actions),
                f"ParallelEnv, {agent}: {bad!r}",
            )
        left = {name: action for name, action in legal.items() if name != agent}
        assert_refused(
            env.unwrapped.scenario,
            lambda left=left: env.step(left),
            f"ParallelEnv without an action of {agent}",
        )


def rendering(subject: Subject) -> None:
    """`render` gives text and a picture that is not blank, and changes nothing."""
    env = subject.single(render_mode="ansi")
    env.reset(seed=SEED)
    text = env.render()
    assert isinstance(text, str), f"render_mode='ansi' gave {type(text).__name__}"
    assert text.strip(), "render_mode='ansi' gave no text"
    if not _can_draw():
        return
    env = subject.single(render_mode="rgb_array")
    env.reset(seed=SEED)
    game: Any = env.unwrapped.scenario  # pyright: ignore[reportAttributeAccessIssue]
    before = game.snapshot()
    image: Any = env.render()
    assert isinstance(image, np.ndarray), f"render_mode='rgb_array' gave {type(image).__name__}"
    assert image.dtype == np.uint8, f"a picture must be uint8, got {image.dtype}"
    assert image.ndim == 3 and image.shape[2] == 3, f"a picture must be (h, w, 3): {image.shape}"
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 2, "the picture is blank"
    assert_same(game.snapshot(), before, "the state after render()")
