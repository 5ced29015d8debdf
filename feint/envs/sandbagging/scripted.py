"""The subject's scripted policies: honest, deceptive, random. They see only what it sees."""

import numpy as np

from feint.envs.sandbagging.layout import Layout


def act(
    layout: Layout, rates: np.ndarray, policy: str, obs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Answers, (n,) int64, for (n, obs_dim) observations."""
    answers = layout.shown.stop
    if policy == "random":
        return rng.integers(0, answers, len(obs))
    chosen = obs[:, layout.shown].argmax(axis=1)
    if policy == "deceptive":
        # The least capable subject, to the last probability: it uses what it knows as often as
        # that one would know it, and guesses otherwise.
        rate = rates[obs[:, layout.level].argmax(axis=1)]
        forget = rng.random(len(obs)) * rate >= rates[0]
        guess = rng.integers(0, answers, len(obs))
        hide = (obs[:, layout.scored] > 0.5) & layout.in_test(obs) & forget
        chosen = np.where(hide, guess, chosen)
    return (chosen + (obs[:, layout.coded] > 0.5)) % answers
