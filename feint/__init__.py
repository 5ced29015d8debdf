"""Feint: deceptive-agent environments, and the training that makes the agents in them honest.

Importing it registers the scenarios with Gymnasium (`feint/Name-v0`) and PettingZoo
(`feint/name-v0`). It loads neither torch nor numba; the parts do, when they are first used:

- `feint.envs`: scenarios; - `feint.agents`: SB3 algorithms with overlap;
- `feint.overlap`: the loss; - `feint.metrics`: measures, statistics, verdicts;
- `feint.bench`: suites and their runner; - `feint.testing`: the conformance suite.
"""

from importlib.metadata import PackageNotFoundError, version

from feint.envs.registry import register_all

try:
    __version__ = version("feint")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

register_all()

__all__ = ["__version__"]
