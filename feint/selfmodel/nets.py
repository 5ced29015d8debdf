"""The networks of arXiv 2407.10188, with the layer names of its released code."""

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """MNIST's: flatten, one hidden layer with ReLU, one linear layer.

    Args:
        inputs: numbers per example.
        hidden: units.
        outputs: classes.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.activation1 = nn.ReLU()
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of x (batch, ...)."""
        return self.fc2(self.activation1(self.fc1(x.flatten(1))))


class EmbeddingBagNet(nn.Module):
    """IMDB's: the mean embedding of a text's words, one hidden layer with ReLU, one linear layer.

    Args:
        words: size of the vocabulary.
        embed: size of an embedding.
        hidden: units.
        outputs: classes.
    """

    def __init__(self, words: int, embed: int = 64, hidden: int = 128, outputs: int = 2):
        super().__init__()
        self.embedding = nn.EmbeddingBag(words, embed, mode="mean", padding_idx=PADDING)
        self.fc1 = nn.Linear(embed, hidden)
        self.activation1 = nn.ReLU()
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (batch, outputs) of tokens (batch, length) int64, filled up with `PADDING`.

        The released code takes flat tokens with offsets; the padding's embedding has no part in
        the mean, so that both give the same.
        """
        return self.fc2(self.activation1(self.fc1(self.embedding(tokens))))


#: The index that fills texts up; no word has it.
PADDING = 0


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.activation1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )
        self.activation_shortcut = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.activation1(self.bn1(self.conv1(x)))))
        return self.activation_shortcut(out + self.shortcut(x))


class ResNet18(nn.Module):
    """CIFAR-10's: a 3x3 stem, four stages of two blocks, a hidden layer, one linear layer.

    Args:
        hidden: units of the hidden layer.
        outputs: classes.
        width: channels of the first stage; 64 in the paper.
    """

    def __init__(self, hidden: int = 2000, outputs: int = 10, width: int = 64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.activation1 = nn.ReLU()
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        self.pool = nn.AvgPool2d(4)
        self.fc1 = nn.Linear(8 * width, hidden)
        self.activation_fc = nn.ReLU()
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of images (batch, 3, 32, 32)."""
        x = self.activation1(self.bn1(self.conv1(x)))
        x = self.pool(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.fc2(self.activation_fc(self.fc1(torch.flatten(x, 1))))


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(before, after, stride), _Block(after, after, 1))
