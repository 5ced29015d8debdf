"""A league: a folder of checkpoints of each role, to play against past selves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from feint.agents.checkpoint import card_of, load_agent, save_agent
from feint.agents.evaluation import Player, policy_of
from feint.agents.pool import Pool


class League:
    """Checkpoints in `folder/ROLE/0000.safetensors`, `0001`, ..., oldest first.

    `train_roles` fills one. Its members play anywhere else, too:

        env = ParallelVecEnv(simple_adversary_v3.parallel_env, 8, train="adversary")
        red = League("runs/league").pool("adversary", env)  # every episode meets one of them
        blue = ParallelVecEnv(simple_adversary_v3.parallel_env, 8, train="agent",
                              opponents={"adversary": red})

    Args:
        folder: made when the first member is added.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._players: dict[Path, Player] = {}

    def path(self, role: str, number: int) -> Path:
        """Where a member is kept."""
        return self.folder / role / f"{number:04d}.safetensors"

    def members(self, role: str) -> list[Path]:
        """All checkpoints of a role, oldest first."""
        found = self.folder.joinpath(role).glob("[0-9]*.safetensors")
        return sorted(found, key=lambda path: int(path.stem))

    def add(
        self, role: str, number: int, model: BaseAlgorithm, scenario: str, kwargs: Mapping[str, Any]
    ) -> None:
        """Keep what a role has become after round `number`; 0 is how it began."""
        path = self.path(role, number)
        self._players.pop(path, None)
        save_agent(model, card_of(model, scenario, kwargs, note=f"{role}, round {number}"), path)

    def player(self, path: str | Path, env: VecEnv, seed: int = 0) -> Player:
        """A member as a function of observations, which samples its actions.

        Args:
            path: one of `members`.
            env: any environment with that role's spaces.
            seed: of the sampling, from now on.

        Raises:
            ValueError: if the file is damaged, or does not fit the spaces.
        """
        path = Path(path)
        if path not in self._players:
            model, _ = load_agent(path, env=env)
            if isinstance(model, RecurrentPPO):
                raise ValueError(
                    f"{path} is recurrent, and a pool's members are asked out of turn; "
                    'train recurrent roles with mode="simultaneous"'
                )
            self._players[path] = policy_of(model)
        player = self._players[path]
        player.reseed(seed)
        return player

    def pool(
        self, role: str, env: VecEnv, newest: float = 0.5, seed: int = 0, last: int | None = None
    ) -> Pool:
        """A role's members as an opponent: every episode meets one of them.

        Args:
            role: whose.
            env: any environment with that role's spaces.
            newest: chance that the newest is met; the others share the rest alike.
            seed: of their sampling.
            last: leave out members after this number.

        Raises:
            ValueError: if there is none.
        """
        paths = [p for p in self.members(role) if last is None or int(p.stem) <= last]
        if not paths:
            raise ValueError(f"{self.folder} has no checkpoint of {role!r} yet")
        pool = Pool([self.player(path, env) for path in paths], newest)
        pool.reseed(seed)
        return pool
