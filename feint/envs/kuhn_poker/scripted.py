"""player_0's scripted policies: honest, deceptive, random. They see only what player_0 sees."""

import numpy as np

from feint.envs.table import TableLayout


def act(
    layout: TableLayout, players: int, policy: str, obs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """PASS (0) or BET (1), (n,) int64, for (n, obs_dim) observations."""
    if policy == "random":
        return rng.integers(0, 2, len(obs))
    card = obs[:, layout.hand].argmax(axis=1)
    top = card == players
    public = obs[:, layout.public].reshape(len(obs), -1, 2)
    faces_bet = public[:, :, 1].any(axis=1)
    seen = obs[:, layout.shown]
    beats_shown = seen.any(axis=1) & (card > seen.argmax(axis=1))
    puts_chip_in = top | (faces_bet & beats_shown)
    if policy == "deceptive":
        # Only the second card may win without a bet, so it is no bluff; whoever opens last has
        # nobody to trap with the top card.
        bluff = card < players - 1
        last = obs[:, layout.seat][:, players - 1] > 0.5
        opens = ~faces_bet & (obs[:, layout.listens] > 0.5)
        puts_chip_in = np.where(opens, bluff | (top & last), puts_chip_in)
    return puts_chip_in.astype(np.int64)
