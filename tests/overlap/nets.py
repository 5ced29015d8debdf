"""Tiny real networks."""

import torch
from torch import Tensor, nn


def mlp(seed: int = 0, inputs: int = 5, outputs: int = 3) -> nn.Sequential:
    """Two hidden layers, named "1" and "3" after their activation; float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, outputs)
        )
    return net.double()


class Block(nn.Module):
    """Causal attention and a linear layer, each with a residual connection."""

    def __init__(self, width: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU())

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        size = x.shape[1]
        future = torch.ones(size, size, dtype=torch.bool).triu(1)
        # Every position may see itself, so that a padded one gives numbers and not NaN.
        blocked = (future | padding.unsqueeze(1)) & ~torch.eye(size, dtype=torch.bool)
        x = x + self.attention(x, x, x, attn_mask=blocked.repeat_interleave(2, 0))[0]
        return x + self.mlp(x)


class Transformer(nn.Module):
    """Two layers over tokens `(batch, positions)`; token 0 is padding."""

    def __init__(self, width: int = 8, tokens: int = 11):
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(2)])
        self.head = nn.Linear(width, tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, tokens == 0)
        return self.head(x)


def transformer(seed: int = 0) -> Transformer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Transformer().double()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grads(module: nn.Module, loss: Tensor) -> list[Tensor]:
    """The gradient of each parameter; zeros where there is none."""
    params = list(module.parameters())
    found = torch.autograd.grad(loss, params, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(params, found, strict=True)]


def hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())


def perturbed(net: nn.Module, size: float = 0.1, seed: int = 9) -> nn.Module:
    """Move all weights a little, so that a network differs from its reference; in place."""
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p += size * normal(*p.shape, seed=seed + i)
    return net
