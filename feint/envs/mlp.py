"""Small networks that play opponents, in numpy: a scenario needs neither torch nor pickles."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from feint.files import write_atomically

#: What numpy raises on a file that is not there, is no `.npz`, or is a damaged one.
_DAMAGED = (OSError, KeyError, EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)

_ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}


class MLP:
    """A feed-forward network with one activation between its layers.

    Args:
        weights: one (inputs, outputs) float array per layer.
        biases: one (outputs,) float array per layer.
        activation: "tanh" or "relu".
        discrete: the outputs are logits of actions; else they are the action.
    """

    def __init__(
        self,
        weights: list[np.ndarray],
        biases: list[np.ndarray],
        activation: str = "tanh",
        discrete: bool = True,
    ) -> None:
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be 'tanh' or 'relu', got {activation!r}")
        if not weights or len(weights) != len(biases):
            raise ValueError(f"got {len(weights)} weights and {len(biases)} biases")
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            fits = w.ndim == 2 and b.shape == (w.shape[1],)
            if not fits or (k and weights[k - 1].shape[1] != w.shape[0]):
                raise ValueError(f"layer {k}: weights {w.shape} and bias {b.shape} do not fit")
            if not (np.isfinite(w).all() and np.isfinite(b).all()):
                raise ValueError(f"layer {k} holds values that are not finite")
        self.weights, self.biases = weights, biases
        self.activation, self.discrete = activation, discrete

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Outputs (n, outputs) for (n, inputs) observations."""
        x = obs
        for k, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ w + b
            if k < len(self.weights) - 1:
                x = _ACTIVATIONS[self.activation](x)
        return x

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The likeliest action, (n,) int64, or the clipped continuous one, (n, outputs)."""
        out = self(obs)
        return out.argmax(axis=1) if self.discrete else np.clip(out, -1.0, 1.0)

    def check_fits(self, inputs: int, outputs: int, discrete: bool, source: str) -> None:
        """Raise ValueError unless the network maps `inputs` to `outputs` of that kind."""
        got = (self.weights[0].shape[0], self.weights[-1].shape[1])
        if got != (inputs, outputs):
            raise ValueError(
                f"{source}: a network of {got[0]} inputs and {got[1]} outputs, "
                f"but this agent has {inputs} inputs and {outputs} outputs"
            )
        if self.discrete != discrete:
            kinds = {True: "logits of discrete actions", False: "continuous actions"}
            raise ValueError(
                f"{source}: a network of {kinds[self.discrete]}, "
                f"but this agent takes {kinds[discrete]}"
            )

    def save(self, path: str | Path) -> None:
        """Write an `.npz`, whole or not at all."""
        arrays = {f"w{k}": w for k, w in enumerate(self.weights)}
        arrays |= {f"b{k}": b for k, b in enumerate(self.biases)}
        buffer = io.BytesIO()
        np.savez(
            buffer,
            activation=np.array(self.activation),
            discrete=np.array(self.discrete),
            **arrays,  # pyright: ignore[reportArgumentType]
        )
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> "MLP":
        """Read what `save` wrote; nothing is unpickled.

        Raises:
            ValueError: if the file is missing, damaged, or not such a network.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                layers = sum(key.startswith("w") for key in file.files)
                return cls(
                    [file[f"w{k}"].astype(np.float64) for k in range(layers)],
                    [file[f"b{k}"].astype(np.float64) for k in range(layers)],
                    str(file["activation"]),
                    bool(file["discrete"]),
                )
        except _DAMAGED as error:
            raise ValueError(f"cannot read a network from {path}: {error}") from error
