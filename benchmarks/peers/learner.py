"""A learner that the training workers time: SB3's PPO, with the seconds of its parts.

It needs nothing but SB3, since it runs in the peers' environment too.
"""

import time
from collections.abc import Callable
from typing import Any

from stable_baselines3 import PPO

#: The game of both paths: MPE's, three agents who share one policy.
AGENTS, EPISODE = 3, 25
#: PPO on it, but for the number of games: each rollout is one episode, in eight minibatches.
NETS = {"pi": [64, 64], "vf": [64, 64]}
MINIBATCHES, EPOCHS, GAMMA, RATE = 8, 5, 0.97, 1e-3


class Learner:
    """Trains on by a block of steps at each call, and says what was spent on what.

    Args:
        model: an SB3 algorithm with an environment.
        block: learner steps of a call.
        callback: for `learn`.
        after: what to add to the notes, outside the timed part, given the model.
    """

    def __init__(
        self,
        model: Any,
        block: int,
        callback: Any = None,
        after: Callable[[Any], dict[str, float]] | None = None,
    ) -> None:
        self.model, self.block, self.callback, self.after = model, block, callback, after
        self.spent = {"env_s": 0.0, "update_s": 0.0}
        model.train = self._timed("update_s", model.train)
        model.env.step = self._timed("env_s", model.env.step)

    def __call__(self) -> int:
        """Train a block."""
        before = self.model.num_timesteps
        self.model.learn(self.block, reset_num_timesteps=False, callback=self.callback)
        return self.model.num_timesteps - before

    def notes(self) -> dict[str, float]:
        """Wall seconds by part since the last notes; the rest is the policy's, and bookkeeping."""
        spent = dict(self.spent)
        self.spent.update(dict.fromkeys(spent, 0.0))
        return spent | (self.after(self.model) if self.after else {})

    def _timed(self, part: str, function: Callable) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[part] += time.perf_counter() - start

        return timed


def ppo_on_mpe(env: Any, games: int, fused: bool, callback: Any = None) -> Learner:
    """PPO on MPE's game, a rollout a call; the same for both paths.

    Args:
        env: an SB3 `VecEnv` of `games * AGENTS` learners.
        games: how many there are.
        fused: let Adam update all parameters in one kernel (its last bits differ).
        callback: for `learn`.
    """
    rows = games * AGENTS * EPISODE
    kwargs = {"net_arch": NETS, "optimizer_kwargs": {"fused": True} if fused else {}}
    model = PPO(
        "MlpPolicy", env, n_steps=EPISODE, batch_size=rows // MINIBATCHES, n_epochs=EPOCHS,
        gamma=GAMMA, learning_rate=RATE, policy_kwargs=kwargs, device="cpu",
    )  # fmt: skip
    return Learner(model, rows, callback)
