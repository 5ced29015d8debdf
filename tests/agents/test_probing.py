# pyright: reportArgumentType=false
import numpy as np
import pytest
from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN, PPO

from feint.agents import hidden_activations, make_vec_env
from feint.metrics import probe_auroc


@pytest.mark.parametrize("cls", [PPO, DQN])
def test_a_probe_reads_from_a_hidden_layer_who_asks(cls):
    env = make_vec_env("feint/RoomSignal-v0", 600, seed=0)
    obs = env.reset()
    model = cls("MlpPolicy", env, seed=0, device="cpu")
    found = hidden_activations(model, obs)
    assert [acts.shape for acts in found.values()] == [(600, 64), (600, 64)]
    rival = obs[:, 6] > 0.5  # an input, so that even an untrained network holds it
    for acts in found.values():
        assert probe_auroc(acts, rival).low > 0.95
        assert probe_auroc(acts, np.random.default_rng(0).random(600) < 0.5).high < 0.65


def test_unknown_layers_and_recurrent_policies_are_refused():
    env = make_vec_env("feint/RoomSignal-v0", 4, seed=0)
    obs = env.reset()
    with pytest.raises(ValueError, match="nowhere"):
        hidden_activations(PPO("MlpPolicy", env, device="cpu"), obs, ["nowhere"])
    with pytest.raises(ValueError, match="recurrent"):
        hidden_activations(RecurrentPPO("MlpLstmPolicy", env, device="cpu"), obs)
