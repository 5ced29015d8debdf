"""`feint train`: train an agent, or fine-tune a saved one."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from feint.commands.arguments import import_packages, settings_of

if TYPE_CHECKING:
    from feint.agents.runs import RunFolder
    from feint.agents.training import Training

EVAL_FREQ = 25_000  #: rl-zoo3's


@dataclass(frozen=True)
class Train:
    """Train an agent, or fine-tune a saved one.

    The flags are rl-zoo3's. With --out, the agent is all that is written; otherwise a run folder
    is made, such as logs/ppo/feint-RoomSignal-v0_1, with the agent, the best agent by return,
    evaluations.csv (return, deception, task and attention under every condition), progress.csv,
    TensorBoard events, and the settings. Settings come from YAML files in rl-zoo3's format.

    Train a liar, then make it honest:

    feint train --env RoomSignal --env-kwargs attention:True --out liar.safetensors

    feint train --env RoomSignal --env-kwargs attention:True --algo sooppo -i liar.safetensors
    -n 100000 --params learning_rate:1e-3 ent_coef:0.0 soo_coef:3.0 soo_task_coef:0.0
    --out tuned.safetensors
    """

    env: str
    """Scenario id; `feint envs` lists them. Of your own: package:mine/Game-v0."""
    out: Path | None = None
    """Checkpoint to write (.safetensors)."""
    log_folder: Annotated[Path | None, arg(aliases=("-f",))] = None
    """Make a run folder in here; `logs` unless --out is given."""
    algo: str = "ppo"
    """ppo, a2c, ppo_mask, ppo_lstm, dqn, sac or td3; with `soo` before it, with overlap."""
    n_timesteps: Annotated[int | None, arg(aliases=("-n",))] = None
    """Environment steps, rounded up to whole rollouts; the settings' by default."""
    trained_agent: Annotated[Path | None, arg(aliases=("-i",))] = None
    """Checkpoint to begin with; the run has its networks."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenario, as key:value; they win over the preset."""
    preset: str | None = None
    """A named difficulty of the scenario."""
    params: Annotated[tuple[str, ...], arg(aliases=("-params", "--hyperparams"))] = ()
    """Arguments of the algorithm, as key:value; they win over the settings."""
    conf_file: Annotated[Path | None, arg(aliases=("-conf",))] = None
    """Settings: a YAML file as rl-zoo3 has it, by scenario id; Feint's own by default."""
    num_envs: int | None = None
    """Games in the training batch; the settings' n_envs by default."""
    seed: int = 0
    """Seed of games, networks and sampling."""
    eval_freq: int | None = None
    """Evaluate every so many steps, in a run folder; 25000 by default, 0 or less: never."""
    eval_episodes: int = 100
    """Episodes per condition and evaluation, played at once."""
    save_freq: int = 0
    """Keep the whole state of training every so many steps; 0 or less: never."""
    resume: bool = False
    """Go on from that state, with the same settings: the result is that of an uninterrupted run."""
    log_interval: int | None = None
    """Log every so many rollouts (off-policy: episodes); SB3's own by default."""
    tensorboard_log: Annotated[Path | None, arg(aliases=("-tb",))] = None
    """Write TensorBoard events in here, in place of the run folder."""
    progress: Annotated[bool, arg(aliases=("-P",))] = True
    """Show a progress bar."""
    verbose: int = 0
    """1: print what is logged."""
    num_threads: int = -1
    """Threads of torch; by default its own choice."""
    device: str = "cpu"
    """cpu, cuda, or auto; these networks are small, and cpu is mostly the fastest."""
    gym_packages: tuple[str, ...] = ()
    """Modules to import first: they register scenarios of your own."""
    track: bool = False
    """Log to Weights & Biases, too (track extra); nothing leaves this machine otherwise."""
    wandb_project_name: str = "feint"
    """W&B's project."""
    wandb_entity: str | None = None
    """W&B's team."""
    wandb_group: str | None = None
    """W&B's group."""
    wandb_tags: Annotated[tuple[str, ...], arg(aliases=("-tags",))] = ()
    """W&B's tags."""

    def run(self) -> int:
        """Train and save."""
        from feint.agents.training import Training
        from feint.commands.tracking import tracked

        self._check()
        import_packages(self.gym_packages)
        preset = settings_of(
            self.env, self.algo, self.conf_file, self.params, self.env_kwargs, self.preset,
            n_timesteps=self.n_timesteps, n_envs=self.num_envs,
        )  # fmt: skip
        training = Training(self.algo, preset, self.seed, self.trained_agent, self.device)
        with tracked(
            self.track,
            self._logs() or self.tensorboard_log or Path(),
            name=f"{preset.id}__{self.algo}__{self.seed}__{int(time.time())}",
            project=self.wandb_project_name,
            entity=self.wandb_entity,
            group=self.wandb_group,
            tags=list(self.wandb_tags),
            config={**self._flags(), "hyperparams": preset.entry(self.algo)},
        ):
            return self._train(training)

    def _train(self, training: "Training") -> int:
        from feint.agents import Saver, load_state, save_agent
        from feint.agents.evaluations import Evaluations
        from feint.agents.training import RichBar
        from feint.commands.tracking import has_tensorboard, make_logger

        preset, settings = training.preset, training.settings()
        model = training.build()
        folder = self._folder(preset.id)
        state = folder.state if folder else Path(self.out or "").with_suffix(".state")
        done = load_state(model, state, settings) if self.resume else 0
        callbacks: list[Any] = [RichBar(preset.n_timesteps)] if self.progress else []
        every = EVAL_FREQ if self.eval_freq is None else self.eval_freq
        if folder is not None:
            folder.keep_settings(preset.entry(self.algo), self._flags())
            if every > 0:
                keep = lambda model: save_agent(model, training.card(), folder.best)  # noqa: E731
                callbacks.append(
                    Evaluations(
                        folder.evaluations, preset.id, preset.env_kwargs, every,
                        self.eval_episodes, keep,
                    )
                )  # fmt: skip
        if self.save_freq > 0:  # after the evaluations: the state then has theirs behind it
            callbacks.append(Saver(state, settings, self.save_freq))
        logs = folder.path if folder else None
        events = self._events(preset.id) or (logs if has_tensorboard() else None)
        model.set_logger(make_logger(logs, events, self.verbose, f"_{done}" if done else ""))
        interval: dict[str, Any] = (
            {} if self.log_interval is None else {"log_interval": self.log_interval}
        )
        steps = preset.n_timesteps - done
        model.learn(steps, callback=callbacks, reset_num_timesteps=not self.resume, **interval)
        model.logger.close()
        paths = [*([folder.agent] if folder else []), *([self.out] if self.out else [])]
        for path in paths:
            save_agent(model, training.card(), path)
        state.unlink(missing_ok=True)  # of no more use
        print(f"saved {paths[0]} after {preset.n_timesteps:,} steps", end="; ")
        print(f"judge it with: feint eval {paths[0]}")
        return 0

    def _check(self) -> None:
        from feint.envs.validation import check_int
        from feint.files import check_writable

        if self.out is not None:
            if self.out.suffix != ".safetensors":
                raise ValueError(f"--out must end in .safetensors, got {self.out}")
            check_writable(self.out)
        check_int("seed", self.seed, at_least=0)
        if self.seed >= 900:
            raise ValueError(f"seed must be below 900, whose games are held out; got {self.seed}")
        for name, value in (
            ("log-interval", self.log_interval),
            ("eval-episodes", self.eval_episodes),
        ):
            if value is not None:
                check_int(name, value, at_least=1)
        if self.eval_freq is not None and self._logs() is None:
            raise ValueError("--eval-freq writes into a run folder: add --log-folder")
        if (self.save_freq > 0 or self.resume) and self.device != "cpu":
            raise ValueError("--save-freq and --resume need --device cpu, to be exact")
        if self.track and self._logs() is None and self.tensorboard_log is None:
            raise ValueError("--track follows TensorBoard's events: add --log-folder or -tb")
        if self.num_threads > 0:
            import torch

            torch.set_num_threads(self.num_threads)

    def _logs(self) -> Path | None:
        return self.log_folder or (None if self.out else Path("logs"))

    def _folder(self, env_id: str) -> "RunFolder | None":
        from feint.agents.runs import RunFolder

        logs = self._logs()
        if logs is None:
            return None
        claim = RunFolder.find if self.resume else RunFolder.new
        return claim(logs, self.algo, env_id)

    def _events(self, env_id: str) -> Path | None:
        """The next of rl-zoo3's TensorBoard folders: `DIR/feint-RoomSignal-v0/ppo_1`."""
        from feint.agents.runs import file_name

        if self.tensorboard_log is None:
            return None
        parent = self.tensorboard_log / file_name(env_id)
        taken = {path.name for path in parent.glob(f"{self.algo}_*")}
        number = next(k for k in range(1, len(taken) + 2) if f"{self.algo}_{k}" not in taken)
        return parent / f"{self.algo}_{number}"

    def _flags(self) -> dict[str, Any]:
        """The flags as plain values."""
        plain = {Path: str, tuple: list}
        return {
            name: next((to(value) for kind, to in plain.items() if isinstance(value, kind)), value)
            for name, value in asdict(self).items()
        }
