"""Pictures: text without pygame, arrays and a window with it."""

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Text

import feint
from feint.envs import SCENARIOS
from feint.envs.physical_deception import PhysicalDeception
from feint.envs.render import INK, PAPER, RED, Picture, Screen, to_array

assert feint.__version__

IDS = [entry.id for entry in SCENARIOS]
PHYSICAL = "feint/PhysicalDeception-v0"


def has_colour(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(axis=2).any())


def an_action(env: Any, number: int) -> Any:
    """An action by its number, or something to say."""
    return env.action_space.sample() if isinstance(env.action_space, Text) else number


@pytest.mark.parametrize("env_id", IDS)
def test_rgb_array_is_a_picture_that_follows_the_game(env_id):
    pytest.importorskip("pygame")
    env: Any = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert isinstance(first, np.ndarray)
    assert (first.shape, first.dtype) == ((480, 480, 3), np.uint8)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 5
    assert has_colour(first, PAPER)
    np.testing.assert_array_equal(env.render(), first)
    env.step(an_action(env, 1))
    assert (env.render() != first).any()


@pytest.mark.parametrize("env_id", IDS)
def test_a_batch_renders_every_game(env_id):
    pytest.importorskip("pygame")
    env: Any = gym.make_vec(env_id, num_envs=3, render_mode="rgb_array")
    env.reset(seed=0)
    frames = env.render()
    assert [frame.shape for frame in frames] == [(480, 480, 3)] * 3
    assert (frames[0] != frames[1]).any()


@pytest.mark.parametrize("env_id", IDS)
def test_ansi_needs_no_pygame(env_id, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    env = gym.make(env_id, render_mode="ansi")
    env.reset(seed=0)
    first = env.render()
    env.step(an_action(env, 1))
    assert isinstance(first, str)
    assert first != env.render()
    drawn = gym.make(env_id, render_mode="rgb_array")
    drawn.reset(seed=0)
    with pytest.raises(DependencyNotInstalled, match=r'pip install "feint\[render\]"'):
        drawn.render()


def test_a_window_opens_closes_and_may_be_closed_twice(monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make(PHYSICAL, render_mode="human")
    env.reset(seed=0)
    env.step(1)
    assert pygame.display.get_surface().get_size() == (480, 480)
    assert pygame.display.get_surface().get_at((1, 1))[:3] == PAPER
    env.close()
    env.close()
    assert not pygame.display.get_init()


@pytest.mark.parametrize("env_id", IDS)
def test_rendering_without_a_mode_says_what_to_pass(env_id):
    env = gym.make(env_id).unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="render_mode"):
        env.render()


def scene(**kwargs) -> PhysicalDeception:
    game = PhysicalDeception(1, **kwargs)
    game.reset(seed=0)
    game.state.pos[0] = [(-0.8, -0.8), (0.8, 0.8)]
    game.state.landmarks[0] = [(0.0, 0.5), (0.0, -0.5)]
    game.state.goal[0] = 1
    return game


@pytest.mark.parametrize(
    ("kwargs", "story", "mark"),
    [
        ({"red_absent_rate": 0.0}, "red watches blue", "R"),
        ({"red_absent_rate": 0.0, "red_blind_rate": 1.0}, "red is blind to blue", "r"),
        ({"red_absent_rate": 1.0}, "red is absent", ""),
    ],
)
def test_text_tells_what_red_is_up_to_and_where_everybody_is(kwargs, story, mark):
    text = scene(**kwargs).draw().ansi
    assert f"step 0: {story}; onlooker's belief in the goal" in text
    rows = [line.split() for line in text.splitlines()[:21]]
    found = {c: (x, y) for y, row in enumerate(rows) for x, c in enumerate(row) if c != "."}
    assert found.keys() == {"G", "x", "B", *mark}
    assert found["G"][1] > found["x"][1]  # the goal is the lower one here
    assert found["B"][0] > found["G"][0]
    if mark:
        assert found[mark][0] < found["G"][0]
        assert found[mark][1] > found["B"][1]


def test_a_trapped_red_is_said_to_be():
    game = scene(red_absent_rate=0.0)
    for landmark, place in [(0, "fake"), (1, "goal")]:
        game.state.trapped[0] = landmark
        assert f"red is trapped at the {place}" in game.draw().ansi


def test_the_picture_hides_an_absent_red_and_shows_a_facing_one():
    pytest.importorskip("pygame")

    def disc(**kwargs) -> np.ndarray:
        image = to_array(scene(**kwargs).draw())
        return (image[60:] == RED).all(axis=2)  # below the line that tells about red

    present = disc(red_absent_rate=0.0).sum()
    facing = disc(red_absent_rate=0.0, red_blind_rate=0.0, attention=True, watching="facing").sum()
    assert disc(red_absent_rate=1.0).sum() == 0
    assert facing > present > 200


def test_every_shape_lands_where_it_should():
    pytest.importorskip("pygame")
    picture = Picture()
    picture.box((0.1, 0.1), (0.3, 0.3), RED)
    picture.circle(0.75, 0.75, 0.1, INK)
    image = to_array(picture, 100)
    assert (image[80, 20] == RED).all()  # y grows upwards
    assert (image[25, 75] == INK).all()
    assert (image[5, 5] == PAPER).all()
    assert not has_colour(image[:50, :50], RED)


@pytest.mark.parametrize("mode", ["rgb", "", 3])
def test_an_unknown_mode_is_named(mode):
    with pytest.raises(ValueError, match="render_mode must be"):
        Screen(mode, 10)
