"""The small networks that play opponents: what they compute, and what they refuse to read."""

import numpy as np
import pytest
import torch

from feint.envs.mlp import MLP


def network(activation: str = "tanh", discrete: bool = True) -> MLP:
    rng = np.random.default_rng(1)
    shapes = [(4, 6), (6, 6), (6, 3)]
    return MLP(
        [rng.normal(size=shape) for shape in shapes],
        [rng.normal(size=shape[1]) for shape in shapes],
        activation,
        discrete,
    )


@pytest.mark.parametrize(
    ("activation", "layer"), [("tanh", torch.nn.Tanh), ("relu", torch.nn.ReLU)]
)
def test_it_computes_what_the_same_torch_network_does(activation, layer):
    net = network(activation)
    twin = torch.nn.Sequential()
    for k, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        linear = torch.nn.Linear(*w.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.tensor(w.T), torch.tensor(b)
        twin.append(linear)
        if k < 2:
            twin.append(layer())
    obs = np.random.default_rng(2).normal(size=(10, 4))
    np.testing.assert_allclose(net(obs), twin(torch.tensor(obs)).detach().numpy())
    np.testing.assert_array_equal(net.act(obs), net(obs).argmax(axis=1))
    continuous = network(activation, discrete=False)
    np.testing.assert_array_equal(continuous.act(obs), np.clip(net(obs), -1, 1))
    assert np.abs(net(obs)).max() > 1


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_it_comes_back_from_a_file_as_it_was(tmp_path, activation, discrete):
    net = network(activation, discrete)
    net.save(tmp_path / "net.npz")
    again = MLP.load(tmp_path / "net.npz")
    assert (again.activation, again.discrete) == (activation, discrete)
    for mine, theirs in ((net.weights, again.weights), (net.biases, again.biases)):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_saving_replaces_a_file_whole_and_leaves_none_behind_when_it_fails(tmp_path):
    path = tmp_path / "net.npz"
    network().save(path)
    network("relu").save(path)
    assert MLP.load(path).activation == "relu"
    with pytest.raises(ValueError, match="cannot write"):
        network().save(path / "below a file" / "net.npz")
    assert MLP.load(path).activation == "relu"
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def damaged(tmp_path, kind: str):
    path = tmp_path / "net.npz"
    network().save(path)
    arrays = dict(np.load(path))
    if kind == "missing":
        path.unlink()
    elif kind == "a folder":
        path.unlink()
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a network")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "flipped bits":
        data = bytearray(path.read_bytes())
        data[200:260] = bytes(60)
        path.write_bytes(bytes(data))
    elif kind == "a single array":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "a pickle":
        arrays["w0"] = np.array([{"a": 1}], dtype=object)
        np.savez(path, **arrays)
    else:
        if kind == "no layers":
            arrays = {key: arrays[key] for key in ("activation", "discrete")}
        elif kind == "no bias":
            del arrays["b1"]
        elif kind == "no activation":
            del arrays["activation"]
        elif kind == "another activation":
            arrays["activation"] = np.array("gelu")
        elif kind == "layers that do not fit":
            arrays["w1"] = np.zeros((5, 6))
        elif kind == "values that are not finite":
            arrays["w2"] = np.full((6, 3), np.nan)
        else:
            raise AssertionError(kind)
        np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "a folder",
        "empty",
        "text",
        "truncated",
        "flipped bits",
        "a single array",
        "a pickle",
        "no layers",
        "no bias",
        "no activation",
        "another activation",
        "layers that do not fit",
        "values that are not finite",
    ],
)
def test_a_file_that_is_no_such_network_gives_one_clear_error(tmp_path, kind):
    path = damaged(tmp_path, kind)
    with pytest.raises(ValueError, match=r"cannot read a network from .*net\.npz"):
        MLP.load(path)
