"""The collapse at small hidden layers and large weights: the units die, and accuracy is chance."""

import pytest

from feint.selfmodel import stack
from feint.selfmodel.data import load
from feint.selfmodel.stack import Training, Variations


def trained(data, hidden, how):
    made = stack.train(data, hidden, (1, 2), how, Variations((0.0, 50.0)))
    found = stack.measure(made, data, predicts=True)
    return found.accuracy, found.dead


def test_small_nets_collapse_on_the_digits_and_large_ones_do_not():
    pytest.importorskip("sklearn")
    data, how = load("digits"), Training(lr=0.02, batch_size=64, epochs=20)
    accuracy, dead = trained(data, 16, how)
    assert accuracy[:, 0].min() > 0.9, "without self-modeling the net learns"
    assert accuracy[:, 1].max() < 0.2 and dead[:, 1].min() > 0.8
    accuracy, _ = trained(data, 128, how)
    assert accuracy.min() > 0.9


@pytest.mark.slow
def test_on_fashion_mnist_it_takes_dark_images():
    """As on MNIST: H = 64 collapses at weight 50, where pixels are cubed and not otherwise."""
    how = Training(epochs=6)
    try:
        dark, bright = load("fashion-mnist-dark"), load("fashion-mnist")
    except ValueError as error:
        pytest.skip(str(error))
    accuracy, _ = trained(dark, 64, how)
    assert accuracy[:, 0].min() > 0.7 and accuracy[:, 1].max() < 0.2
    accuracy, _ = trained(bright, 64, how)
    assert accuracy[:, 1].min() > 0.5
