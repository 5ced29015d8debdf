"""What goes into a block of a model, kept: models that differ above it alone share all below.

Tuned models that began with one organism and have adapters on a few layers only are asked the same
scenes. Up to the first of these layers all of them compute the same, so it is computed once.
"""

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from feint.files import write_atomically
from feint.llm.loading import decoder, name_of
from feint.llm.packing import Packed
from feint.llm.partial import only_blocks
from feint.overlap import capture


class PrefixStates:
    """Hidden states that go into block `first`, by packed rows, in memory and in a file.

    Args:
        first: The block, from 1; no weight below it may differ between the models that share this.
        file: Where they are kept between processes; `None` for nowhere.

    Raises:
        ValueError: If the file is corrupt.
    """

    def __init__(self, first: int, file: str | Path | None = None):
        if first < 1:
            raise ValueError(f"first must be at least 1, got {first}: below block 0 is nothing")
        self.first, self.file = first, None if file is None else Path(file)
        self.states: dict[str, Tensor] = {}
        self._new = False
        if self.file is not None and self.file.exists():
            try:
                self.states = load_file(self.file)
            except SafetensorError as error:
                raise ValueError(f"{self.file} is corrupt ({error}); remove it") from error

    def of(self, model: nn.Module, packed: Packed, arguments: dict[str, Tensor]) -> Tensor:
        """`(rows, t, width)` for packed rows, computed where they are not known."""
        parts = (packed.ids, packed.positions, packed.mask)
        key = hashlib.sha256(b"".join(x.numpy().tobytes() for x in parts)).hexdigest()[:24]
        if key not in self.states:
            block = name_of(model, decoder(model).layers[self.first - 1])  # type: ignore[index]
            with only_blocks(model, self.first - 1), capture(model, [block]) as acts:
                decoder(model)(**arguments, use_cache=False)
            self.states[key] = acts[block].clone()
            self._new = True
        return self.states[key].to(arguments["input_ids"].device)

    def keep(self) -> None:
        """Write what is new to the file, whole or not at all."""
        if self._new and self.file is not None:
            contiguous = {key: x.cpu().contiguous() for key, x in self.states.items()}
            write_atomically(self.file, save(contiguous))
            self._new = False
