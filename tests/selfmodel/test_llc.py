"""The LLC against models whose learning coefficient is known, and against devinterp."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from torch import nn

from feint.selfmodel.llc import LLC, SGLD, chance, estimates, module_llc, sample, temperature
from feint.selfmodel.nets import MLP


def trained(steps=300):
    torch.manual_seed(0)
    x = torch.randn(200, 6)
    y = (x[:, 0] > 0).long()
    net = MLP(6, 8, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net, x, y


def energy(function, settings):
    """The estimate for a loss `function` of weights (1, chains, d), whose minimum 0 is at 0."""
    nothing = torch.empty(0)
    trace = sample(
        [torch.zeros(1, settings_size(function))],
        lambda weights, x, y: function(weights[0]),
        itertools.repeat((nothing, nothing)),
        settings,
    )
    return estimates(trace, torch.zeros(1), settings.nbeta, half=False)[0]


def settings_size(function):
    return 3 if function is quadratic else 2


def quadratic(w):
    return 0.5 * (w**2 * torch.tensor([0.5, 1.0, 2.0])).sum(-1)


def quartic(w):
    return w[..., 0] ** 2 + w[..., 1] ** 4


def product(w):
    return (w[..., 0] * w[..., 1]) ** 2


def test_a_regular_model_has_half_its_dimension():
    settings = SGLD(lr=1e-4, localization=0.01, nbeta=1000, chains=40, draws=1500, burn_in=500)
    assert energy(quadratic, settings).value == pytest.approx(1.5, abs=0.1)


def test_a_linear_regression_has_half_its_parameters():
    torch.manual_seed(0)
    x = torch.randn(400, 4)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + torch.randn(400, 1)
    net = nn.Linear(4, 1)
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(400, 1)], 1), y).solution
    with torch.no_grad():
        net.weight.copy_(solution[:4].T)
        net.bias.copy_(solution[4])
    settings = SGLD(lr=5e-4, localization=0.01, nbeta=400.0, chains=8, draws=800, burn_in=200)

    def criterion(out, labels):  # minus the log likelihood of unit noise
        return 0.5 * (out - labels).square().mean()

    found = module_llc(net, [(x, y)], settings, "corrected", criterion)
    assert found.value == pytest.approx(5 / 2, abs=0.35) and not found.invalid


def test_a_singular_model_has_less_than_half_its_dimension():
    """a^2 + b^4: by equipartition 1/2 + 1/4, in place of the regular 1."""
    settings = SGLD(lr=1e-4, localization=0.01, nbeta=1000, chains=40, draws=2000, burn_in=500)
    assert energy(quartic, settings).value == pytest.approx(0.75, abs=0.06)


def test_a_singular_product_agrees_with_the_integral():
    """(ab)^2, whose learning coefficient is 1/2 with multiplicity 2; the pull makes it finite."""
    nbeta, gamma = 1000.0, 10.0

    def density(b, a):
        return math.exp(-nbeta * (a * b) ** 2 - gamma / 2 * (a * a + b * b))

    whole = dblquad(density, -2, 2, -2, 2, epsabs=1e-7)[0]
    mean = dblquad(lambda b, a: (a * b) ** 2 * density(b, a), -2, 2, -2, 2, epsabs=1e-9)[0]
    wanted = nbeta * mean / whole
    assert 0.25 < wanted < 0.5  # 1/2 less about 1 / ln(nbeta)
    settings = SGLD(
        lr=2e-4, localization=gamma, nbeta=nbeta, chains=60, draws=1500, burn_in=700
    )  # fmt: skip
    assert energy(product, settings).value == pytest.approx(wanted, abs=0.03)


def test_it_agrees_with_devinterp_on_the_same_chains():
    sampler = pytest.importorskip(
        "devinterp.slt.sampler", reason="pip install --no-deps devinterp==0.2.0 einops"
    )
    from torch.utils.data import DataLoader, TensorDataset

    net, x, y = trained()
    # A generator of its own, or the loader takes a number from the chains' noise.
    loader = DataLoader(TensorDataset(x, y), batch_size=32, generator=torch.Generator())
    nbeta = temperature(32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sampler.estimate_learning_coeff_with_summary(
            net, loader, nn.CrossEntropyLoss(), num_draws=200, num_chains=4, seed=42,
            optimizer_kwargs={"lr": 1e-4, "localization": 100.0, "temperature": nbeta},
            verbose=False, online=True,
        )  # fmt: skip
    ours = module_llc(net, list(loader), SGLD(nbeta=nbeta, draws=200))
    assert ours.value == pytest.approx(float(np.mean(theirs["llc/means"][100:])), abs=1e-4)


def test_chains_of_many_models_are_those_of_each_alone():
    first, x, y = trained()
    second, _, _ = trained(30)
    settings = SGLD(nbeta=temperature(50), draws=20, chains=3)
    batches = list(zip(x.split(50), y.split(50), strict=True))

    def losses(weights, x, y):
        w1, b1, w2, b2 = weights
        hidden = (torch.einsum("bi,mchi->mcbh", x, w1) + b1.unsqueeze(2)).relu()
        out = torch.einsum("mcbh,mcoh->mcbo", hidden, w2) + b2.unsqueeze(2)
        return -out.log_softmax(-1)[..., torch.arange(len(y)), y].mean(-1)

    nets = (first, second)
    params = zip(*(net.parameters() for net in nets), strict=True)
    start = [torch.stack(tuple(p)) for p in params]
    together = sample(start, losses, itertools.cycle(batches), settings)
    for k, net in enumerate(nets):
        alone = [p.unsqueeze(0) for p in net.parameters()]
        trace = sample(alone, losses, itertools.cycle(batches), settings)
        torch.testing.assert_close(together[k], trace[0], rtol=1e-4, atol=1e-5)


def test_a_network_that_is_not_at_a_minimum_is_marked():
    net, x, y = trained(steps=0)
    batches = list(zip(x.split(50), y.split(50), strict=True))
    settings = SGLD(lr=1e-2, localization=1.0, nbeta=50.0, draws=100)
    found = module_llc(net, batches, settings)
    assert found.invalid == "not at a minimum of its loss" and found.value < 0


def test_a_chain_that_diverges_is_marked():
    net, x, y = trained()
    settings = SGLD(lr=1e3, nbeta=temperature(200), draws=40)
    assert "diverged" in module_llc(net, [(x, y)], settings).invalid


def test_chance_accuracy_is_marked():
    assert chance(0.11, 10) == "chance accuracy (0.11)" and chance(0.9, 10) == ""
    assert chance(0.53, 2) and not chance(0.6, 2)
    trace = torch.ones(1, 2, 8)
    (found,) = estimates(trace, torch.zeros(1), 1.0, half=True, lost=["chance accuracy (0.11)"])
    assert found == LLC(1.0, 0.0, 0.0, "chance accuracy (0.11)")


def test_released_means_train_mode_and_corrected_eval_mode():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    x, y = torch.randn(64, 4) * 3 + 1, torch.randint(2, (64,))
    batches = list(zip(x.split(16), y.split(16), strict=True))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    settings = SGLD(nbeta=temperature(16), draws=10)
    found = {v: module_llc(net, batches, settings, v).value for v in ("released", "corrected")}
    assert found["released"] != found["corrected"]
    for k, v in net.state_dict().items():
        assert torch.equal(v, before[k]), "the measured network was changed"
    with pytest.raises(ValueError, match="variant must be"):
        module_llc(net, batches, settings, "nope")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": 0.0}, "lr must be finite and > 0, got 0"),
        ({"nbeta": math.inf}, "nbeta must be finite"),
        ({"localization": -1.0}, "localization must be finite and >= 0"),
        ({"draws": 1}, "draws >= 2"),
    ],
)
def test_wrong_settings_fail_in_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        SGLD(**arguments)
