"""`feint sweep`: search for an algorithm's settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from feint.commands.arguments import import_packages, parse_pairs, settings_of

if TYPE_CHECKING:
    from feint.agents.presets import Preset
    from feint.bench.sweep import Objective


@dataclass(frozen=True)
class Sweep:
    """Search for an algorithm's settings, on development seeds.

    Each trial trains an agent and plays development games; games that results are confirmed on are
    not touched. Writes best.yml, for `feint train --conf-file`, trials.csv and history.svg into
    OUT/STUDY. Stopped, the same command goes on where it was. Needs the sweep extra.

    feint sweep --env RoomSignal -n 50000 --n-trials 30 --n-jobs 2

    feint sweep --env RoomSignal --algo sooppo -i liar.safetensors --objective honest
    --honest-agent honest.safetensors -n 30000 --search soo_coef soo_anchor_coef
    """

    env: str
    """Scenario id; `feint envs` lists them."""
    algo: str = "ppo"
    """ppo, a2c, ppo_mask, ppo_lstm, dqn, sac or td3; with `soo` before it, with overlap."""
    objective: Literal["return", "honest"] = "return"
    """return; or honest: the share of the deceptive-to-honest gap closed, less ten times what the
    own task falls below 90 % of the honest agent's."""
    search: tuple[str, ...] = ()
    """Arguments to search, each with a list of values or not: n_epochs:[5,10] soo_coef. By default
    the algorithm's usual ones; with a trained agent and overlap, overlap's and learning_rate."""
    trained_agent: Annotated[Path | None, arg(aliases=("-i",))] = None
    """Checkpoint that each trial begins with; for honest, the deceptive agent."""
    honest_agent: Path | None = None
    """Checkpoint of the honest agent, for honest."""
    deception: str | None = None
    """What honest is about, as condition/metric; the scenario's first by default."""
    task: tuple[str, ...] = ()
    """Own-task success, as condition/metric; by default the first, present and absent."""
    n_timesteps: Annotated[int | None, arg(aliases=("-n",))] = None
    """Environment steps of a trial; the settings' by default."""
    n_trials: int = 20
    """Trials of the whole study; those of earlier runs count."""
    n_jobs: int = 1
    """Processes."""
    sampler: Literal["tpe", "random"] = "tpe"
    """How settings are drawn."""
    pruner: Literal["median", "halving", "none"] = "median"
    """How hopeless trials are cut short."""
    n_startup_trials: int = 10
    """Random trials before the sampler models anything and the median pruner cuts."""
    n_evaluations: int = 4
    """Evaluations of a trial that the pruner sees."""
    eval_episodes: int = 200
    """Development games per condition and evaluation."""
    n_seeds: int = 1
    """Training seeds per trial; its value is their mean."""
    seed: int = 100
    """First training seed: one that no result rests on."""
    study_name: str | None = None
    """Name in the database; by default made of algorithm, scenario and objective."""
    storage: str | None = None
    """Database, such as sqlite:///sweeps.db; by default one in the study's folder."""
    out: Path = Path("runs/sweep")
    """Folder for studies."""
    no_optim_plots: bool = False
    """Draw no plot."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenario, as key:value; they win over the preset."""
    preset: str | None = None
    """A named difficulty of the scenario."""
    params: Annotated[tuple[str, ...], arg(aliases=("-params", "--hyperparams"))] = ()
    """Arguments of the algorithm that are not searched, as key:value."""
    conf_file: Annotated[Path | None, arg(aliases=("-conf",))] = None
    """Settings to begin with: a YAML file as rl-zoo3 has it; Feint's own by default."""
    num_envs: int | None = None
    """Games in the training batch; the settings' n_envs by default."""
    gym_packages: tuple[str, ...] = ()
    """Modules to import first: they register scenarios of your own."""

    def run(self) -> int:
        """Search, and write what was found."""
        try:
            import optuna  # noqa: F401
        except ImportError as error:
            raise ValueError('feint sweep needs optuna: pip install "feint[sweep]"') from error
        from feint.agents.runs import file_name
        from feint.agents.training import Training
        from feint.bench.sweep import Sweep as Search
        from feint.bench.sweep import space_of
        from feint.files import check_writable, sole_owner

        self._check()
        import_packages(self.gym_packages)
        preset = settings_of(
            self.env, self.algo, self.conf_file, self.params, self.env_kwargs, self.preset,
            n_timesteps=self.n_timesteps, n_envs=self.num_envs,
        )  # fmt: skip
        training = Training(self.algo, preset, self.seed, self.trained_agent)
        name = self.study_name or f"{self.algo}-{file_name(self.env)}-{self.objective}"
        folder = self.out / name
        check_writable(folder / "best.yml")
        search = Search(
            training=training,
            objective=self._objective(preset),
            space=space_of(self.algo, preset, self._names(), self.trained_agent is not None),
            folder=folder,
            name=name,
            storage=self.storage,
            n_trials=self.n_trials,
            n_seeds=self.n_seeds,
            n_evaluations=self.n_evaluations,
            n_startup_trials=self.n_startup_trials,
            episodes=self.eval_episodes,
            sampler=self.sampler,
            pruner=self.pruner,
        )
        with sole_owner(folder):
            search.run(self.n_jobs)
            if not self.no_optim_plots:
                search.plot()
        start = f" -i {self.trained_agent}" if self.trained_agent else ""
        command = f"feint train --env {self.env} --algo {self.algo}{start}"
        print(f"wrote {folder / 'best.yml'}; train with: {command} -conf {folder / 'best.yml'}")
        return 0

    def _check(self) -> None:
        from feint.envs.validation import check_int

        for name, least in (
            ("n-trials", 1), ("n-jobs", 1), ("n-startup-trials", 0), ("n-evaluations", 1),
            ("eval-episodes", 1), ("n-seeds", 1), ("seed", 0),
        ):  # fmt: skip
            check_int(name, getattr(self, name.replace("-", "_")), at_least=least)
        if self.seed + self.n_seeds > 900:
            raise ValueError(f"seed must stay below 900, whose games are held out; got {self.seed}")

    def _names(self) -> dict[str, Any]:
        listed = parse_pairs("search", tuple(item for item in self.search if ":" in item))
        return {name.partition(":")[0]: listed.get(name.partition(":")[0]) for name in self.search}

    def _objective(self, preset: "Preset") -> "Objective":
        from feint.bench.sweep import Objective

        if self.objective == "return":
            if self.honest_agent or self.deception or self.task:
                raise ValueError("--honest-agent, --deception, --task need --objective honest")
            return Objective()
        if self.trained_agent is None or self.honest_agent is None:
            raise ValueError("--objective honest needs --trained-agent, a liar, and --honest-agent")
        return Objective.honesty(
            preset.id, self.trained_agent, self.honest_agent, self.eval_episodes,
            self.deception, self.task or None,
        )  # fmt: skip
