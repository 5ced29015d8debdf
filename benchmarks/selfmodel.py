"""Where it pays to train many small networks as one: seconds, stacked and one by one.

    python benchmarks/selfmodel.py

The networks are those of `feint selfmodel run`: seeds x weights, trained for some steps on random
numbers. "chosen" is the way that the runner takes for that size; both ways give the same parameters
(tests/selfmodel/test_stack.py).
"""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from feint.files import write_atomically
from feint.selfmodel.data import Data
from feint.selfmodel.stack import Training, Variations, train
from feint.selfmodel.study import stacked

#: Inputs, hidden units, batch, seeds, weights, steps.
SIZES = {
    "digits, one weight": (64, 64, 64, 10, 1, 220),
    "digits": (64, 64, 64, 10, 6, 110),
    "MNIST, H = 64": (784, 64, 512, 5, 6, 10),
    "MNIST, H = 128": (784, 128, 512, 5, 6, 10),
    "MNIST, H = 512": (784, 512, 512, 5, 6, 5),
}


@dataclass(frozen=True)
class Timing:
    """Seconds for all networks of a size; the best of the repetitions."""

    size: str
    networks: int
    stacked: float
    separate: float
    chosen: str

    @property
    def gain(self) -> float:
        """How many times faster the stack is."""
        return self.separate / self.stacked


def measure(name: str, repeats: int) -> Timing:
    """Time one size."""
    inputs, hidden, batch, seeds, weights, steps = SIZES[name]
    rows = batch * steps  # one epoch
    luck = torch.Generator().manual_seed(0)
    x, y = torch.randn(rows, inputs, generator=luck), torch.randint(10, (rows,), generator=luck)
    data, how = Data(x, y, x[:10], y[:10], 10), Training(batch_size=batch, epochs=1)
    each = tuple(float(w) for w in range(1, weights + 1))

    def together() -> None:
        train(data, hidden, range(seeds), how, Variations(each))

    def apart() -> None:
        for seed in range(seeds):
            for weight in each:
                train(data, hidden, (seed,), how, Variations((weight,)))

    ways = {together: float("inf"), apart: float("inf")}
    train(data, hidden, (0,), how, Variations((1.0,)))  # the first call sets things up
    for _ in range(repeats):  # in turns, so that a busy machine slows both
        for way in ways:
            begin = time.perf_counter()
            way()
            ways[way] = min(ways[way], time.perf_counter() - begin)
    chosen = "stacked" if stacked(data, hidden, how) else "separate"
    return Timing(name, seeds * weights, ways[together], ways[apart], chosen)


def main() -> None:
    """Time all sizes and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the numbers as JSON")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = []
    print(f"{'size':20} {'nets':>5} {'stacked':>9} {'separate':>9} {'gain':>6}  chosen")
    for name in SIZES:
        found.append(one := measure(name, given.repeats))
        times = f"{one.stacked:8.2f}s {one.separate:8.2f}s {one.gain:5.1f}x"
        print(f"{one.size:20} {one.networks:5} {times}  {one.chosen}", flush=True)
    if given.out is not None:
        about = {"machine": platform.machine(), "cores": os.cpu_count(), "threads": given.threads}
        sizes = [{**asdict(one), "gain": one.gain} for one in found]
        write_atomically(given.out, json.dumps({**about, "sizes": sizes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
