"""`feint selfmodel`: networks that predict themselves, and how simple that makes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand


@dataclass(frozen=True)
class Run:
    """Train with and without self-modeling, beside controls, and measure complexity.

    feint selfmodel run --data digits

    feint selfmodel run --data fashion-mnist --hidden 512 64 --weights 0 1 5 10 20 50 --seeds 5

    Prints a table, and writes one file per run, plots, table.md and report.html. Interrupted, the
    same command goes on where it was; with more seeds, weights or sizes it adds those.
    """

    data: str = "digits"
    """digits, fashion-mnist, fashion-mnist-dark (pixels cubed), mnist, cifar10 or imdb."""
    data_dir: Path | None = None
    """Folder of the data set's files."""
    config: str = "official_code"
    """official_code, or paper_text_variant."""
    hidden: tuple[int, ...] = ()
    """Sizes of the hidden layer; the task's by default."""
    weights: tuple[float, ...] = ()
    """Weights of the self-prediction; the task's by default. 0, the baseline, is always run."""
    seeds: int = 5
    """How many training seeds: 1, 2, ..."""
    controls: tuple[str, ...] | None = None
    """Which controls: no_detach, shuffled, random, earlier, activation_l2, activation_l2_tenth,
    weight_decay; by default all that the task has, at the weights below."""
    control_weights: tuple[float, ...] | None = None
    """Weights at which controls run: 10 by default, where that is one, else the largest."""
    layers: tuple[str, ...] = ()
    """Names of the predicted layers; the task's by default. For imdb also: embedding."""
    epochs: int | None = None
    """In place of the task's."""
    draws: int | None = None
    """Draws of each LLC chain, in place of the task's; 0: no LLC."""
    out: Path | None = None
    """Folder for results; runs/selfmodel/DATA by default."""
    markdown: bool = False
    """Print the table in Markdown."""

    def run(self) -> int:
        """Run the study and report."""
        import torch
        from rich.console import Console
        from rich.progress import Progress

        from feint.bench import selfmodel_report as report
        from feint.envs.validation import check_int
        from feint.files import check_writable, sole_owner
        from feint.products import fast_products
        from feint.selfmodel import modules
        from feint.selfmodel.data import load
        from feint.selfmodel.study import CONTROLS, Study, run_study
        from feint.selfmodel.tasks import task

        check_int("seeds", self.seeds, at_least=1)
        made = task(self.data, self.config)
        weights = tuple(w for w in self.weights or made.weights if w)
        chosen = self.controls
        if chosen is None:
            chosen = tuple(c for c in CONTROLS if made.net == "mlp" or c in modules.ARMS)
        chosen = chosen if weights else ()
        at = self.control_weights or ((10.0,) if 10.0 in weights else (max(weights, default=0),))
        study = Study(
            data=self.data,
            config=self.config,
            hidden=self.hidden,
            weights=self.weights,
            seeds=tuple(range(1, self.seeds + 1)),
            controls=chosen,
            control_weights=at,
            layers=self.layers,
            epochs=self.epochs,
            draws=self.draws,
        )
        out = self.out or Path("runs/selfmodel") / self.data
        check_writable(out / "report.html")
        data = load(self.data, self.data_dir)
        fast_products()
        if made.net == "mlp" and data.x[0].numel() * max(study.hidden) < 1e5:
            torch.set_num_threads(1)  # so small that threads would wait for one another
        errors = Console(stderr=True)
        with sole_owner(out), Progress(console=errors) as bar:
            line = bar.add_task("")
            runs = run_study(
                study,
                data,
                out,
                lambda what, done, of: bar.update(line, description=what, completed=done, total=of),
            )
        report.show(study, report.rows(runs), out, self.markdown)
        return 0


@dataclass(frozen=True)
class Agents:
    """Train agents with and without self-modeling: complexity, readability, deception.

    The suite takes an hour or two of one core's time; --scenarios, --arms and --seeds run a part.
    Interrupted, the same command goes on where it was.
    """

    out: Path = Path("runs/selfmodel/agents")
    """Folder for everything it writes."""
    seeds: tuple[int, ...] | None = None
    """Training seeds; the suite's own by default."""
    scenarios: tuple[str, ...] | None = None
    """Only these: physical_deception, room_signal."""
    arms: tuple[str, ...] | None = None
    """Only these, such as deceptive, deceptive_self10."""
    workers: int | None = None
    """Runs at once; all cores by default."""
    suite: str = "selfmodel_rl"
    """That built-in suite, or a .toml file of your own (job feint.bench.selfmodel_rl:run)."""

    def run(self) -> int:
        """Run the suite and print its tables, in Markdown."""
        from feint.bench import Suite, run_suite
        from feint.bench.selfmodel_rl import markdown
        from feint.files import write_atomically

        suite = Suite.load(self.suite).select(scenarios=self.scenarios, arms=self.arms)
        suite = suite.with_seeds(self.seeds) if self.seeds else suite
        results = run_suite(suite, self.out, workers=self.workers)
        text = markdown(suite, results)
        write_atomically(self.out / "table.md", text)
        print(text)
        return 0


@dataclass(frozen=True)
class Tasks:
    """List the tasks and their exact settings."""

    def run(self) -> int:
        """Print them."""
        from rich.console import Console
        from rich.table import Table

        from feint.selfmodel.tasks import TASKS

        table = Table("data", "config", "net", "hidden", "predicts", "weights", "training", "LLC")
        for name, configs in TASKS.items():
            for config, made in configs.items():
                how, llc = made.training, made.llc
                table.add_row(
                    name,
                    config,
                    made.net,
                    " ".join(map(str, made.hidden)),
                    " ".join(made.layers),
                    " ".join(f"{w:g}" for w in made.weights),
                    f"{made.optimizer} {how.lr:g}, batch {how.batch_size}, {how.epochs} epochs",
                    f"lr {llc.lr:g}, localization {llc.localization:g}, "
                    f"{llc.chains} x {llc.draws} draws",
                )
        console = Console()
        (console if console.is_terminal else Console(width=200)).print(table)
        return 0


@dataclass(frozen=True)
class SelfModel:
    """Networks that predict themselves: arXiv 2407.10188, with controls."""

    action: Annotated[
        Annotated[Run, subcommand("run")]
        | Annotated[Agents, subcommand("agents")]
        | Annotated[Tasks, subcommand("tasks")],
        OmitArgPrefixes,
        OmitSubcommandPrefixes,
    ]

    def run(self) -> int:
        """Do what was asked."""
        return self.action.run()
