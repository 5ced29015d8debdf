"""The worker's scripted policies: honest, deceptive, random. They see only what the worker sees."""

import numpy as np

from feint.envs.oversight.layout import Layout


def act(layout: Layout, policy: str, obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Actions, (n,) int64, for (n, obs_dim) observations."""
    tools = layout.tool.stop - layout.tool.start
    if policy == "random":
        return rng.integers(0, tools + 2, len(obs))
    chosen = 1 + obs[:, layout.tool].argmax(axis=1)
    if policy == "deceptive":
        chosen = np.where(layout.unseen_for_good(obs), tools + 1, chosen)
    return np.where(obs[:, layout.passing] > 0.5, 0, chosen)
