"""`rules="mpe"` against mpe2's own simple_adversary_v3, step by step."""

import numpy as np
import pytest

from feint.envs.physical_deception import PhysicalDeception

mpe2 = pytest.importorskip("mpe2.simple_adversary_v3")

TOLERANCE = 1e-5


def mirrored(num_good: int, continuous: bool, seed: int):
    """mpe2's environment, and ours in the same state."""
    reference = mpe2.parallel_env(N=num_good, max_cycles=25, continuous_actions=continuous)
    observations, _ = reference.reset(seed=seed)
    world = reference.unwrapped.world
    game = PhysicalDeception(
        rules="mpe", num_good=num_good, continuous_actions=continuous, external="all"
    )
    game.reset(seed=seed)
    game.state.pos[0] = [agent.state.p_pos for agent in world.agents]
    game.state.vel[0] = [agent.state.p_vel for agent in world.agents]
    game.state.landmarks[0] = [landmark.state.p_pos for landmark in world.landmarks]
    game.state.goal[0] = world.landmarks.index(world.agents[0].goal_a)
    return reference, observations, game


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("num_good", [1, 2, 3])
def test_every_state_observation_and_reward_is_mpe2s(num_good, continuous):
    for seed in range(20):
        reference, wanted, game = mirrored(num_good, continuous, seed)
        agents, world = game.agents, reference.unwrapped.world
        assert list(agents) == reference.possible_agents
        for agent in agents:
            assert game.action_space(agent) == reference.action_space(agent)
            assert game.observation_space(agent).shape == reference.observation_space(agent).shape
        rng = np.random.default_rng(seed)
        got = game.observe()
        for t in range(25):
            for agent, obs in zip(agents, got, strict=True):
                np.testing.assert_allclose(obs[0], wanted[agent], rtol=0, atol=TOLERANCE)
            if continuous:
                actions = rng.uniform(0, 1, (1, num_good + 1, 5)).astype(np.float32)
            else:
                actions = rng.integers(0, 5, (1, num_good + 1))
            wanted, rewards, _, truncations, _ = reference.step(
                dict(zip(agents, actions[0], strict=True))
            )
            step = game.step(actions)
            got = step.observations
            for agent, reward in zip(agents, step.rewards, strict=True):
                np.testing.assert_allclose(reward[0], rewards[agent], rtol=0, atol=TOLERANCE)
            for name, mine in (("p_pos", game.state.pos[0]), ("p_vel", game.state.vel[0])):
                theirs = [getattr(agent.state, name) for agent in world.agents]
                np.testing.assert_allclose(mine, theirs, rtol=0, atol=TOLERANCE)
            assert bool(step.truncated[0]) == all(truncations.values()) == (t == 24)


def test_starts_are_drawn_as_mpe2_draws_them():
    game = PhysicalDeception(4000, rules="mpe", num_good=3)
    game.reset(seed=0)
    state = game.state
    for places in (state.pos, state.landmarks):
        assert (np.abs(places) <= 1).all()
        np.testing.assert_allclose(places.mean(axis=0), 0, atol=0.05)
        np.testing.assert_allclose(places.std(axis=0), 3**-0.5, atol=0.03)
    assert (state.vel == 0).all()
    np.testing.assert_allclose(np.bincount(state.goal) / 4000, 1 / 3, atol=0.04)
    assert state.present.all()
    assert not state.blind.any()


def test_the_honest_twin_does_not_mind_where_red_is():
    games = [PhysicalDeception(8, rules="mpe", incentive=incentive) for incentive in (1.0, 0.0)]
    for game in games:
        game.reset(seed=3)
    actions = np.full(8, 2)
    deceptive, honest = (game.step(actions).rewards[0] for game in games)
    state = games[0].state
    goal = np.take_along_axis(state.landmarks, state.goal[:, None, None], axis=1)
    away = np.linalg.norm(state.pos - goal, axis=2)
    np.testing.assert_allclose(honest, -away[:, 1:].min(axis=1))
    np.testing.assert_allclose(deceptive - honest, away[:, 0])
