"""Defaults and the progress bar of `feint train`."""

from dataclasses import dataclass
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule

from feint.agents.algorithms import algorithm
from feint.envs import scenario_class


@dataclass(frozen=True)
class Preset:
    """Settings known to work: id, steps, batch, networks, and the algorithm's arguments."""

    id: str
    steps: int
    num_envs: int
    net_arch: tuple[int, ...]
    activation: str
    params: dict[str, Any]


_PPO: dict[str, Preset] = {
    "PhysicalDeception-v0": Preset(
        "feint/PhysicalDeception-v0", 2_400_000, 512, (64, 64), "tanh",
        {"n_steps": 30, "batch_size": 2560, "n_epochs": 5, "gamma": 0.97,
         "learning_rate": "lin_4e-3", "ent_coef": 0.01},
    ),
    "RoomSignal-v0": Preset(
        "feint/RoomSignal-v0", 400_000, 256, (64, 64), "relu",
        {"n_steps": 16, "batch_size": 1024, "n_epochs": 10, "gamma": 0.97,
         "learning_rate": 2e-3, "ent_coef": 0.05},
    ),
}  # fmt: skip

# With these settings, tried on seed 100 only, agents learn to deceive at incentive 1 and not at 0
# (on DeceptivePath only a little: unforeseen .27 against .14); LiarsDice wants ppo_mask.
for _name, _steps, _horizon, _rate, _entropy in (
    ("CheapTalk", 400_000, 16, 2e-3, 0.005),
    ("KuhnPoker", 600_000, 16, 2e-3, 0.005),
    ("LiarsDice", 800_000, 16, 2e-3, 0.005),
    ("HiddenRole", 1_000_000, 64, 1e-3, 0.003),
    ("DeceptivePath", 1_000_000, 32, 2e-3, 0.003),
    ("Oversight", 600_000, 36, 2e-3, 0.003),
    ("Sandbagging", 600_000, 32, 2e-3, 0.003),
):
    _PPO[f"{_name}-v0"] = Preset(
        f"feint/{_name}-v0", _steps, 256, (64, 64), "relu",
        {"n_steps": _horizon, "batch_size": 1024, "n_epochs": 6, "gamma": 0.97,
         "learning_rate": f"lin_{_rate}", "ent_coef": _entropy},
    )  # fmt: skip


def defaults_for(env_id: str, algo: str) -> Preset:
    """The preset of a scenario and algorithm; off-policy ones get SB3's own arguments.

    Raises:
        ValueError: for an unknown scenario.
    """
    name = scenario_class(env_id).name
    rollout = {"n_steps": 32}  # times 64 games: SB3's own rollout, 2048 steps of one game
    preset = _PPO.get(name, Preset(f"feint/{name}", 1_000_000, 64, (64, 64), "tanh", rollout))
    if "ppo" in algo:
        return preset
    if algorithm(algo).on_policy:
        return Preset(preset.id, 1_000_000, 64, preset.net_arch, preset.activation, {})
    return Preset(preset.id, 200_000, 8, preset.net_arch, preset.activation, {})


def schedule(value: Any) -> Any:
    """rl-zoo3's notation: "lin_1e-3" falls linearly from 1e-3 to 0; the rest stays as it is."""
    if isinstance(value, str) and value.startswith("lin_"):
        return LinearSchedule(float(value.removeprefix("lin_")), 0.0, 1.0)
    return value


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
