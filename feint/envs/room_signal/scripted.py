"""The sender's scripted policies: they see only what the sender sees.

Honest: the truth to everybody. Deceptive: another room to a rival who listens. Caring: the truth,
except to a listener whom it would harm. Random: any room.
"""

import numpy as np

from feint.envs.room_signal.layout import Layout


def act(
    layout: Layout, num_rooms: int, policy: str, obs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Rooms to name, (n,) int64, for (n, obs_dim) observations."""
    if policy == "random":
        return rng.integers(0, num_rooms, len(obs))
    meant = obs[:, layout.treasure].argmax(axis=1)
    if policy == "deceptive":
        meant = np.where(layout.rival_listens(obs), (meant + 1) % num_rooms, meant)
    elif policy == "caring":
        meant = np.where(layout.harmful(obs), (meant + 1) % num_rooms, meant)
    # All name the room as the receiver counts it, so that it is understood as meant.
    return np.where(layout.by_back_door(obs), num_rooms - 1 - meant, meant)
