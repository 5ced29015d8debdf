"""The sender's scripted policies. They see only what the sender sees, and know the game's bias."""

import numpy as np

from feint.envs.cheap_talk import equilibrium
from feint.envs.cheap_talk.layout import THETA, Layout

POLICIES = ("honest", "deceptive", "equilibrium", "random")


def points(
    layout: Layout,
    policy: str,
    obs: np.ndarray,
    rng: np.random.Generator,
    *,
    stretch: float,
    bounds: np.ndarray,
    num_messages: int | None,
) -> np.ndarray:
    """Points on the scale that the policy would have named, (n,) float64 in [0, 1].

    Args:
        layout: of the observations.
        policy: one of `POLICIES`.
        obs: (n, obs_dim) float32.
        rng: for what a policy draws.
        stretch: by how much a liar exaggerates to a rival who listens.
        bounds: boundaries of the equilibrium's cells.
        num_messages: how many messages there are; None: all points of the scale.
    """
    if policy == "random":
        return rng.random(len(obs))
    meant = obs[:, THETA].astype(np.float64)
    asked = layout.rival_listens(obs)
    if policy == "deceptive":
        meant = np.where(asked, np.minimum(meant + stretch, 1.0), meant)
    elif policy == "equilibrium":
        drawn = equilibrium.messages(meant, bounds, num_messages, rng)
        meant = np.where(asked, drawn, meant)
    # All name the point as the receiver reads it, so that it is understood as meant.
    return np.where(layout.mirrored(obs), 1.0 - meant, meant)
