"""Learner steps per second of mpe2's `simple_adversary_v3` by SuperSuit to SB3's PPO.

SuperSuit's way has two gaps that are closed here, since a learner would be wrong without: games
end by their time limit, which nothing in its infos says (`TimeLimit.truncated`), so that SB3 would
take the end for a real one; and SB3's seeding fails on it, so that none is asked for.
"""

from typing import Any

import numpy as np
import supersuit  # pyright: ignore[reportMissingImports]
import torch
from learner import AGENTS, EPISODE, Learner, ppo_on_mpe
from mpe2 import simple_adversary_v3
from protocol import serve
from stable_baselines3.common.vec_env import VecEnvWrapper


class CutOff(VecEnvWrapper):
    """Says that every end is a time limit's: this game has no other."""

    def reset(self) -> Any:
        """As it is."""
        return self.venv.reset()

    def step_wait(self) -> tuple:
        """One step, with the flag that SuperSuit leaves out."""
        obs, rewards, done, infos = self.venv.step_wait()
        for i in np.flatnonzero(done):
            infos[i]["TimeLimit.truncated"] = True
        return obs, rewards, done, infos


def prepare(games: int, fused: bool = False) -> Learner:
    """PPO for all three agents of `games` copies in this process, observations padded."""
    torch.set_num_threads(1)
    env = simple_adversary_v3.parallel_env(N=AGENTS - 1, max_cycles=EPISODE)
    env = supersuit.pettingzoo_env_to_vec_env_v1(supersuit.pad_observations_v0(env))
    copies = supersuit.concat_vec_envs_v1(env, games, num_cpus=0, base_class="stable_baselines3")
    return ppo_on_mpe(CutOff(copies), games, fused)


if __name__ == "__main__":
    serve(prepare, ["supersuit", "mpe2", "pettingzoo", "stable-baselines3", "torch", "numpy"])
