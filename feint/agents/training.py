"""One training run from its settings: the model, its description, and the progress bar."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import get_device

from feint.agents.algorithms import algorithm
from feint.agents.checkpoint import AgentCard, load_into, read_card
from feint.agents.presets import Preset, schedule
from feint.agents.vec_env import make_vec_env

SEED_STRIDE = 1_000_000  #: training seed s plays games from s * this on


@dataclass(frozen=True)
class Training:
    """All that fixes the result of a run.

    Attributes:
        algo: as `--algo` takes it.
        preset: scenario, steps, networks, arguments.
        seed: of games, networks and sampling.
        trained_agent: checkpoint to begin with; its networks are those of the run.
        device: as torch names it, or "auto".
    """

    algo: str
    preset: Preset
    seed: int = 0
    trained_agent: Path | None = None
    device: str = "cpu"

    def build(self) -> BaseAlgorithm:
        """The model, ready to learn.

        Raises:
            ValueError: for arguments that the scenario or the algorithm refuses, a checkpoint that
                does not fit, or a device that is not there.
        """
        chosen, preset = algorithm(self.algo), self._networks()
        device = check_device(self.device)
        games = self.seed * SEED_STRIDE
        env = make_vec_env(preset.id, preset.n_envs, games, **preset.env_kwargs)
        chosen.check_spaces(env.observation_space, env.action_space)
        try:
            model = chosen.cls(
                chosen.policy,
                env,
                seed=self.seed,
                device=device,
                policy_kwargs=chosen.policy_kwargs(preset.net_arch, preset.activation, preset.lstm),
                **{key: schedule(value) for key, value in preset.params.items()},
            )
        except AssertionError as error:  # so SB3 refuses arguments
            raise ValueError(f"--params: {error}") from error
        if self.trained_agent is not None:
            load_into(model, self.trained_agent, scenario=preset.id)
        return model

    def card(self) -> AgentCard:
        """What the checkpoint says of itself."""
        preset = self._networks()
        return AgentCard(
            algorithm=self.algo,
            scenario=preset.id,
            env_kwargs=preset.env_kwargs,
            net_arch=preset.net_arch,
            activation=preset.activation,
            lstm=preset.lstm,
            seed=self.seed,
            steps=preset.n_timesteps,
            note=f"tuned from {self.trained_agent.name}" if self.trained_agent else "",
            params=preset.params,
        )

    def settings(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed, as JSON values."""
        return {
            "algo": self.algo,
            "env": self.preset.id,
            "env_kwargs": self.preset.env_kwargs,
            "params": self.preset.params,
            "n_timesteps": self.preset.n_timesteps,
            "num_envs": self.preset.n_envs,
            "seed": self.seed,
            "trained_agent": None if self.trained_agent is None else str(self.trained_agent),
        }

    def _networks(self) -> Preset:
        if self.trained_agent is None:
            return self.preset
        card = read_card(self.trained_agent)
        same = {"net_arch": card.net_arch, "activation": card.activation, "lstm": card.lstm}
        return replace(self.preset, **same)


def check_device(name: str) -> torch.device:
    """The device of that name, which must be there.

    Raises:
        ValueError: if it is not.
    """
    try:
        device = get_device() if name == "auto" else torch.device(name)  # SB3 would take cpu
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used: {reason}; use cpu") from error
    return device


class RichBar(BaseCallback):
    """A progress bar with the mean episode return."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total = total

    def _on_training_start(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("return {task.fields[score]}"),
        )
        self.task = self.bar.add_task("", total=self.total, score="-")
        self.bar.start()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        recent = [episode["r"] for episode in self.model.ep_info_buffer or ()]
        score = f"{sum(recent) / len(recent):.2f}" if recent else "-"
        self.bar.update(self.task, completed=self.num_timesteps, score=score)

    def _on_training_end(self) -> None:
        self.bar.update(self.task, completed=self.total)
        self.bar.stop()
