import json
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from feint.agents import (
    SOOPPO,
    AgentCard,
    load_agent,
    load_into,
    make_vec_env,
    read_card,
    save_agent,
)
from feint.agents.algorithms import algorithm

ID = "feint/RoomSignal-v0"
CARD = AgentCard("sooppo", ID, {"attention": True}, net_arch=(8, 8), seed=4, steps=100, note="x")


def model(env_id=ID, net_arch=(8, 8), **kwargs):
    env = make_vec_env(env_id, 4, seed=0, **kwargs)
    kwargs = algorithm("ppo").policy_kwargs(net_arch, "tanh")
    return SOOPPO("MlpPolicy", env, policy_kwargs=kwargs, n_steps=4, batch_size=8, seed=0)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "agent.safetensors"
    save_agent(model(attention=True), CARD, path)
    return path


def test_a_saved_agent_acts_as_before(path):
    before, (after, card) = model(attention=True), load_agent(path)
    obs = make_vec_env(ID, 50, seed=1, attention=True).reset()
    assert card == CARD
    np.testing.assert_array_equal(
        before.predict(obs, deterministic=True)[0], after.predict(obs, deterministic=True)[0]
    )


def test_no_pickle_is_in_the_file(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])  # the format: a JSON header, then raw numbers
    assert json.loads(header["__metadata__"]["feint"])["scenario"] == ID


def test_a_truncated_checkpoint_is_refused_in_one_line(path):
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="not a whole safetensors file") as caught:
        load_agent(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04K\x01."])
def test_other_files_are_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        read_card(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ValueError, match="there is no checkpoint"):
        read_card(tmp_path / "none.safetensors")


def test_a_checkpoint_from_another_scenario_is_refused(path):
    with pytest.raises(ValueError, match=r"agent for feint/RoomSignal-v0, not for feint/Physical"):
        load_agent(path, scenario="feint/PhysicalDeception-v0")
    other = model("feint/PhysicalDeception-v0")
    with pytest.raises(ValueError, match="do not fit this environment"):
        load_into(other, path)
    with pytest.raises(ValueError, match="not for feint/PhysicalDeception-v0"):
        load_into(other, path, scenario="feint/PhysicalDeception-v0")


def test_other_networks_are_refused_and_leave_the_model_as_it_was(path):
    other = model(net_arch=(16, 16))
    before = {k: v.clone() for k, v in other.policy.state_dict().items()}
    with pytest.raises(ValueError, match="do not fit"):
        load_into(other, path)
    assert all(torch.equal(before[k], v) for k, v in other.policy.state_dict().items())


def test_values_that_are_not_finite_are_refused(path):
    broken = model()
    with torch.no_grad():
        next(broken.policy.parameters()).fill_(float("nan"))
    save_agent(broken, CARD, path)
    with pytest.raises(ValueError, match="not finite"):
        load_agent(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not a Feint agent"),
        ({"feint": "{}"}, "schema None"),
        ({"feint": json.dumps({"schema": 99})}, "schema 99"),
        ({"feint": json.dumps({"schema": 1, "net_arch": [8]})}, "damaged description"),
        (
            {"feint": json.dumps({"schema": 1, "net_arch": [8], "algorithm": "x", "scenario": ID})},
            "unknown algorithm",
        ),
    ],
)
def test_a_strange_description_is_refused(path, metadata, message):
    save_file({"w": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(ValueError, match=message):
        read_card(path)


def test_an_unwritable_folder_leaves_the_earlier_file_intact(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="cannot write"):
        save_agent(model(), CARD, path / "below-a-file" / "agent.safetensors")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
