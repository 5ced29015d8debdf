import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO

from feint.agents import export_mlp, make_vec_env

ID = "feint/PhysicalDeception-v0"


@pytest.mark.parametrize("continuous", [False, True])
def test_an_exported_red_plays_as_the_model_does(tmp_path, continuous):
    env = make_vec_env(ID, 8, seed=0, agent="adversary_0", continuous_actions=continuous)
    model = PPO("MlpPolicy", env, n_steps=25, batch_size=50, seed=0, device="cpu").learn(400)
    network = export_mlp(model, tmp_path / "red.npz")
    obs = env.reset()
    expected = model.predict(obs, deterministic=True)[0]
    np.testing.assert_allclose(network.act(obs.astype(np.float64)), expected, atol=1e-5)
    game = gym.make(
        ID, red="learned", red_policy=str(tmp_path / "red.npz"), continuous_actions=continuous,
        red_absent_rate=0.0,
    )  # fmt: skip
    game.reset(seed=3)
    red = game.get_wrapper_attr("scenario").state.pos[0, 0]
    before = red.copy()
    for _ in range(5):
        game.step(game.action_space.sample())
    assert not np.array_equal(before, red)


def test_a_policy_without_an_actor_is_refused(tmp_path):
    model = DQN("MlpPolicy", make_vec_env(ID, 1, seed=0), buffer_size=10)
    with pytest.raises(ValueError, match="no feed-forward actor"):
        export_mlp(model, tmp_path / "red.npz")
    assert not (tmp_path / "red.npz").exists()
