# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
"""A run that is cut and resumed ends where the uninterrupted one does."""

import warnings

import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import VecNormalize

from feint.agents import make_vec_env
from feint.agents.algorithms import ALGORITHMS, algorithm
from feint.agents.resume import Saver, load_state, save_state

SETTINGS = {"algo": "ppo", "seed": 4}
TOTAL, CUT = 960, 480


class Cut(Exception):
    pass


def made(name, **kwargs):
    chosen = algorithm(name)
    set_random_seed(4)
    env = make_vec_env(
        "feint/PhysicalDeception-v0", 8, 0, attention=True,
        continuous_actions=chosen.actions == "continuous",
    )  # fmt: skip
    if chosen.on_policy:
        arguments = {"n_steps": 20}
        if not name.endswith("a2c"):
            arguments |= {"batch_size": 80, "n_epochs": 2}
    else:
        arguments = {"learning_starts": 64, "batch_size": 32, "buffer_size": 600}
        arguments |= {"train_freq": 4, "gradient_steps": 2}
    if name.startswith("soo"):
        kwargs = {"soo_pairs": "belief", "soo_sham": "shuffled", **kwargs}
    nets = chosen.policy_kwargs((16, 16), "tanh", lstm=8)
    return chosen.cls(
        chosen.policy, env, seed=4, device="cpu", policy_kwargs=nets,
        learning_rate=LinearSchedule(1e-3, 0.0, 1.0), **arguments, **kwargs,
    )  # fmt: skip


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


class CuttingSaver(Saver):
    """Dies right after it has saved, and does some damage to every global generator before."""

    def _on_rollout_start(self):
        super()._on_rollout_start()
        if self._last >= CUT:
            raise Cut


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_run_that_was_cut_ends_with_the_same_parameters(name, tmp_path):
    whole = quietly(lambda: made(name).learn(TOTAL))
    path = tmp_path / "state"
    with pytest.raises(Cut):
        quietly(lambda: made(name).learn(TOTAL, callback=CuttingSaver(path, SETTINGS, CUT)))
    torch.manual_seed(99)
    again = made(name)
    done = load_state(again, path, SETTINGS)
    assert CUT <= done < TOTAL
    quietly(lambda: again.learn(TOTAL - done, reset_num_timesteps=False))
    assert again.num_timesteps == whole.num_timesteps
    wanted = whole.policy.state_dict()
    for key, value in again.policy.state_dict().items():
        assert torch.equal(value, wanted[key]), key


def test_wrong_states_are_refused_in_one_line(tmp_path):
    model, path = made("ppo").learn(160), tmp_path / "state"
    with pytest.raises(ValueError, match="there is no saved state"):
        load_state(model, path, SETTINGS)
    save_state(model, path, SETTINGS)
    assert load_state(made("ppo"), path, SETTINGS) == 160
    with pytest.raises(ValueError, match="of a run with another seed; resume with the same"):
        load_state(model, path, {**SETTINGS, "seed": 5})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="not a whole saved state"):
        load_state(model, path, SETTINGS)


def test_an_environment_without_a_readable_state_is_refused(tmp_path):
    env = VecNormalize(make_vec_env("feint/RoomSignal-v0", 2, 0))
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=16, device="cpu")
    with pytest.raises(ValueError, match="exact resume needs a Feint scenario"):
        save_state(model, tmp_path / "state", SETTINGS)
