"""Run folders, named as rl-zoo3 names them: `logs/ppo/feint-RoomSignal-v0_1`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from feint.envs import full_id
from feint.files import write_atomically


@dataclass(frozen=True)
class RunFolder:
    """Where one training run keeps what it writes.

    Attributes:
        path: the folder.
        name: the scenario's id as a file name.
    """

    path: Path
    name: str

    @property
    def agent(self) -> Path:
        """The checkpoint at the end."""
        return self.path / f"{self.name}.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint that earned most in evaluations."""
        return self.path / "best_model.safetensors"

    @property
    def state(self) -> Path:
        """What an interrupted run goes on from."""
        return self.path / f"{self.name}.state"

    @property
    def evaluations(self) -> Path:
        """Held-out episodes during training."""
        return self.path / "evaluations.csv"

    @classmethod
    def new(cls, logs: Path, algo: str, env_id: str) -> "RunFolder":
        """The next folder, made.

        Raises:
            ValueError: if it cannot be.
        """
        name = file_name(env_id)
        parent = logs / algo
        number = max(_numbers(parent, name), default=0) + 1
        while True:
            path = parent / f"{name}_{number}"
            try:
                parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
                return cls(path, name)
            except FileExistsError as error:
                if not parent.is_dir():
                    raise ValueError(f"cannot write {path}: {parent} is not a folder") from error
                number += 1  # another run was quicker
            except OSError as error:
                raise ValueError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def find(cls, logs: Path, algo: str, env_id: str, number: int = 0) -> "RunFolder":
        """An earlier run's folder; number 0 is the latest.

        Raises:
            ValueError: if there is none.
        """
        name = file_name(env_id)
        parent = logs / algo
        found = _numbers(parent, name)
        if not found or number not in (0, *found):
            there = f"; there are: {', '.join(map(str, sorted(found)))}" if found else ""
            raise ValueError(
                f"{parent} has no run {f'{number} ' if number else ''}of {name}{there}"
            )
        return cls(parent / f"{name}_{number or max(found)}", name)

    def keep_settings(self, config: dict[str, Any], args: dict[str, Any]) -> None:
        """Write what the run was trained with, and the command's flags, as rl-zoo3 does."""
        for stem, content in (("config", config), ("args", args)):
            text = yaml.safe_dump(content, sort_keys=True)
            write_atomically(self.path / self.name / f"{stem}.yml", text)


def file_name(env_id: str) -> str:
    """A scenario's id as part of a path."""
    return full_id(env_id).replace("/", "-").replace(":", "-")


def _numbers(parent: Path, name: str) -> list[int]:
    tails = [path.name.removeprefix(f"{name}_") for path in parent.glob(f"{name}_*")]
    return [int(tail) for tail in tails if tail.isdigit()]
