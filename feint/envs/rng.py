"""Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers").

A draw is a pure function of (seed, episode, step, slot). There is no generator state, so that game
`i` of a batch seeded `s` is exactly the single game seeded `s + i`, a snapshot needs only counters,
and two runs that differ in one choice share all other draws (common random numbers).
"""

import numpy as np

from feint.envs.kernels import kernel

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_SCALE = 2.0**-32


@kernel
def philox(c0, c1, c2, c3, k0, k1):
    """Philox 4x32-10: four 32-bit counter words and two key words, each held in a uint64.

    Returns:
        Four 32-bit words (uint64).
    """
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0 = (p1 >> _32) ^ c1 ^ k0
        c1 = p1 & _LOW
        c2 = (p0 >> _32) ^ c3 ^ k1
        c3 = p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@kernel
def uniform4(seed, episode, step, slot):
    """Four uniform draws in [0, 1) for one (seed, episode, step, slot); seed is a uint64."""
    e = np.uint64(episode)
    a, b, c, d = philox(
        np.uint64(slot), np.uint64(step), e & _LOW, e >> _32, seed & _LOW, seed >> _32
    )
    return a * _SCALE, b * _SCALE, c * _SCALE, d * _SCALE
