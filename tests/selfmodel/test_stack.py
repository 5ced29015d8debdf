"""Stacked networks against each of them by itself, and what is measured of them."""

import pytest
import torch
import torch.nn.functional as F

from feint.overlap import derangement
from feint.selfmodel import SelfModel, SelfModelConfig, stack
from feint.selfmodel.data import Data
from feint.selfmodel.llc import SGLD, module_llc, temperature
from feint.selfmodel.nets import MLP
from feint.selfmodel.stack import Training, Variations

SEEDS, WEIGHTS = (3, 8), (0.0, 2.0, 10.0)
HOW = Training(lr=0.05, batch_size=16, epochs=4)
INPUTS, HIDDEN, CLASSES = 6, 7, 3


@pytest.fixture
def data():
    torch.manual_seed(0)
    x = torch.randn(70, INPUTS, dtype=torch.float64)
    y = x[:, :CLASSES].argmax(1)
    return Data(x[:50], y[:50], x[50:], y[50:], CLASSES)


def alone(data, seed, weight, how, detach=True, target="own", decay=0.0):
    """One network by torch's own layers and optimizer: the oracle."""
    config = SelfModelConfig(
        ("fc1" if target == "earlier" else "activation1",),
        weight=weight,
        detach_target=detach,
        target="own" if target in ("earlier", "shuffled") else target,
    )
    model = SelfModel(MLP(INPUTS, HIDDEN, CLASSES).double(), config, data.x[:2])
    start = stack.initial(INPUTS, HIDDEN, CLASSES, seed, predicts=weight > 0)
    with torch.no_grad():
        for p, value in zip(model.parameters(), start, strict=True):
            p.zero_()[: len(value)] = value
    optimizer = torch.optim.SGD(
        model.parameters(), how.lr, how.momentum, nesterov=how.nesterov, weight_decay=decay
    )
    luck = torch.Generator().manual_seed(seed)
    for epoch in range(how.epochs):
        for (index,) in stack.batch_indices(len(data.x), [seed], how, epoch):
            seen = model.step(data.x[index])
            own = seen.target
            if target == "shuffled":
                own = own[derangement(len(own), luck)]
            loss = F.cross_entropy(seen.output, data.y[index])
            loss = loss + weight * F.mse_loss(seen.prediction, own)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


@pytest.mark.parametrize("predicted", ["own", "shuffled", "earlier"])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("same_order", [True, False])
def test_a_stack_gives_the_parameters_of_separate_training(data, predicted, detach, same_order):
    how = Training(lr=0.05, batch_size=16, epochs=4, same_order=same_order)
    variations = Variations(WEIGHTS, predicted=predicted, detach=detach)
    made = stack.train(data, HIDDEN, SEEDS, how, variations)
    for s, seed in enumerate(SEEDS):
        for k, weight in enumerate(WEIGHTS):
            wanted = alone(data, seed, weight, how, detach, predicted)
            for p, value in zip(made.params, wanted.parameters(), strict=True):
                torch.testing.assert_close(p[s, k], value, rtol=1e-10, atol=1e-12)


def test_weight_decay_is_sgds(data):
    variations = Variations((0.0, 0.0), decays=(0.0, 0.03), predicted="none")
    made = stack.train(data, HIDDEN, (3,), HOW, variations)
    plain = MLP(INPUTS, HIDDEN, CLASSES).double()
    with torch.no_grad():
        for p, value in zip(
            plain.parameters(), stack.initial(INPUTS, HIDDEN, CLASSES, 3, False), strict=True
        ):
            p.copy_(value)
    optimizer = torch.optim.SGD(plain.parameters(), 0.05, 0.9, nesterov=True, weight_decay=0.03)
    for epoch in range(HOW.epochs):
        for (index,) in stack.batch_indices(len(data.x), [3], HOW, epoch):
            optimizer.zero_grad()
            F.cross_entropy(plain(data.x[index]), data.y[index]).backward()
            optimizer.step()
    for p, value in zip(made.params, plain.parameters(), strict=True):
        torch.testing.assert_close(p[0, 1], value, rtol=1e-10, atol=1e-12)


def test_baseline_and_self_model_of_a_seed_begin_alike():
    bare = stack.initial(INPUTS, HIDDEN, CLASSES, 5, predicts=False)
    wide = stack.initial(INPUTS, HIDDEN, CLASSES, 5)
    assert torch.equal(bare[0], wide[0]) and torch.equal(bare[1], wide[1])
    assert torch.equal(bare[2], wide[2][:CLASSES]) and wide[2].shape == (CLASSES + HIDDEN, HIDDEN)


def test_every_epoch_has_the_same_batches_unless_told_otherwise():
    def orders(how):
        return [torch.cat(list(stack.batch_indices(20, (1, 2), how, e)), 1) for e in (0, 1)]

    first, second = orders(HOW)
    assert torch.equal(first, second) and not torch.equal(first[0], first[1])
    assert sorted(first[0].tolist()) == list(range(20))
    first, second = orders(Training(batch_size=16, same_order=False))
    assert not torch.equal(first, second)


def test_a_dose_is_the_gradient_of_self_prediction_on_the_hidden_layer(data):
    how = Training(lr=0.05, batch_size=50, epochs=1)
    made = stack.train(data, HIDDEN, (3,), how, Variations((4.0,)), record_dose=True)
    assert made.dose is not None and made.dose.shape == (1, 1, 1)
    w1, b1, w2, b2 = (p.double() for p in stack.initial(INPUTS, HIDDEN, CLASSES, 3))
    (index,) = next(stack.batch_indices(50, (3,), how, 0))
    hidden = (data.x[index] @ w1.T + b1).relu().requires_grad_()
    predicted = hidden @ w2[CLASSES:].T + b2[CLASSES:]
    loss = 4.0 * (predicted - hidden.detach()).square().mean()
    (slope,) = torch.autograd.grad(loss, hidden)
    assert float(made.dose) == pytest.approx(float(slope.norm()))


def test_activation_l2_gets_the_given_dose(data):
    """One step at rate 1 moves the hidden layer as a penalty with that gradient norm does."""
    how = Training(lr=1.0, momentum=0.0, nesterov=False, batch_size=50, epochs=1)
    dose = torch.full((1, 1, 1), 0.3, dtype=torch.float64)
    free = Variations((0.0,), predicted="none")
    given = Variations((0.0,), predicted="none", dose=dose)
    a, b = (stack.train(data, HIDDEN, (3,), how, v).params[0][0, 0] for v in (free, given))
    w1, b1, *_ = (p.double() for p in stack.initial(INPUTS, HIDDEN, CLASSES, 3, False))
    w1 = w1.requires_grad_()
    (index,) = next(stack.batch_indices(50, (3,), how, 0))
    hidden = (data.x[index] @ w1.T + b1).relu()
    pull = 0.3 * hidden.detach() / hidden.detach().norm()
    (slope,) = torch.autograd.grad(hidden, w1, pull)
    torch.testing.assert_close(a - b, slope)


def test_measures_of_a_known_network():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    data = Data(x, torch.tensor([0, 1, 0]), x, torch.tensor([0, 1, 0]), 2)
    eye = torch.eye(2)
    params = [eye, torch.zeros(2), torch.cat([eye, eye]), torch.zeros(4)]
    made = stack.Stack((0,), [p[None, None].clone() for p in params], 2)
    found = stack.measure(made, data, predicts=True)
    assert found.accuracy.item() == 1.0  # of a tie argmax takes the first
    assert found.width.item() == pytest.approx(float(eye.flatten().std()))
    assert found.activation_rms.item() == pytest.approx((4 / 6) ** 0.5)
    assert found.dead.item() == 0 and found.r2.item() == 1.0 and found.identity.item() == 0
    logits = torch.log_softmax(x, 1)
    assert found.train_loss.item() == pytest.approx(-float(logits[range(3), data.y].mean()))


@pytest.mark.parametrize("variant", ["released", "corrected"])
def test_the_llc_of_a_stack_is_that_of_each_network(data, variant):
    how = Training(lr=0.05, batch_size=25, epochs=8)
    made = stack.train(data, HIDDEN, SEEDS, how, Variations(WEIGHTS))
    draws = 30 if variant == "released" else 300
    settings = SGLD(nbeta=temperature(25), draws=draws, chains=3, lr=1e-3)
    found = stack.llc(made, data, how, settings, variant)
    for s, seed in enumerate(SEEDS):
        for k in range(len(WEIGHTS)):
            net = MLP(INPUTS, HIDDEN, CLASSES).double()
            with torch.no_grad():
                for p, value in zip(net.parameters(), made.classifier(), strict=True):
                    p.copy_(value[s, k])
            order = [i[0] for i in stack.batch_indices(50, [seed], how, 0)]
            batches = [(data.x[i], data.y[i]) for i in order]
            wanted = module_llc(net, batches, settings, variant)
            mine = found[s * len(WEIGHTS) + k]
            if variant == "released":  # the same batches and the same noise
                assert mine.value == pytest.approx(wanted.value, rel=1e-6)
            else:  # other batches
                assert mine.value == pytest.approx(wanted.value, abs=0.35)


def test_wrong_variations_are_refused():
    with pytest.raises(ValueError, match="predicted must be one of"):
        Variations((1.0,), predicted="nope")
    with pytest.raises(ValueError, match="one decay for each weight"):
        Variations((1.0, 2.0), decays=(0.1,))
