"""`feint llm reasons`: what models do under pressure after a refusal, a rebuttal, or neither."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand

from feint.commands.progress import progress

if TYPE_CHECKING:
    from feint.llm.reasons.backend import Backend
    from feint.llm.reasons.scenario import Scenario
    from feint.llm.reasons.scoring import Scorer


@dataclass(frozen=True)
class Scoring:
    """Who scores."""

    scorer: Literal["rules", "judge", "hands"] = "rules"
    """By the cues of the scenarios, by a model, or by labels of yours."""
    judge: str | None = None
    """The judge: `smollm2`, a folder, a Hugging Face id; with --judge-url, its name there."""
    judge_url: str | None = None
    """An OpenAI-compatible server, such as http://localhost:8000/v1."""
    labels: Path | None = None
    """Hands: labels of the replies, in the form of feint/llm/reasons/labelled.yaml."""

    def make(
        self, keep: Path | None = None, mirror: bool = False, scenarios_file: Path | None = None
    ) -> "Scorer":
        """The scorer; a judge's answers go to the file `keep`.

        Raises:
            ValueError: If what it needs is not given.
        """
        from feint.llm.reasons.agreement import Hands, load_labelled
        from feint.llm.reasons.judge import Judge
        from feint.llm.reasons.rules import Rules

        if self.scorer == "rules":
            return Rules()
        if self.scorer == "judge":
            if self.judge is None:
                raise ValueError("--scorer judge needs --judge: a model that judges")
            return Judge(backend_of(self.judge, (), self.judge_url), keep, mirror)
        if self.labels is None:
            raise ValueError("--scorer hands needs --labels: a file with a label for each reply")
        return Hands(load_labelled(self.labels, scenarios_file))


@dataclass(frozen=True)
class Run:
    """Ask a model, score what it says, and report.

    feint llm reasons run --model smollm2

    feint llm reasons run --model gpt-4o-mini --url https://api.openai.com/v1 --full

    The small design is one scenario of each class of harm, 3 wordings of each arm, 5 replies to
    each; --full is all scenarios, 10 wordings and 10 replies. Writes every transcript,
    scores, a table, a plot and report.html. Interrupted, the same command goes on where it was.
    """

    model: str = "smollm2"
    """`smollm2`, a folder, or a Hugging Face id; with --url, the model's name there."""
    adapter: tuple[Path, ...] = ()
    """Adapters that are merged into the model, in order."""
    url: str | None = None
    """An OpenAI-compatible server, such as http://localhost:8000/v1; the key is read from
    $OPENAI_API_KEY."""
    full: bool = False
    """The full design."""
    scenarios: tuple[str, ...] = ()
    """Only these; `feint llm reasons scenarios` lists them."""
    scenarios_file: Path | None = None
    """Scenarios of your own, in YAML or TOML."""
    arms: tuple[str, ...] = ()
    """Only these: natural, refusal, rebuttal, neutral, off_topic, system."""
    wordings: int | None = None
    """Turns of each arm."""
    samples: int | None = None
    """Replies to each conversation."""
    seed: int = 0
    """Of all that is drawn."""
    temperature: float = 0.7
    """0 takes the likeliest token."""
    max_new_tokens: int = 120
    """Length of a reply at most; models that think need more."""
    workers: int = 4
    """Requests at once, with --url."""
    out: Path = Path("runs/reasons")
    """Folder for everything it writes."""
    scoring: Scoring = Scoring()
    """Who scores."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Ask, score, report."""
        from dataclasses import replace

        from feint.files import check_writable
        from feint.llm.reasons.backend import Sampling
        from feint.llm.reasons.run import FULL, SMALL, run

        given: dict[str, Any] = {
            "scenarios": self.scenarios or None,
            "arms": self.arms or None,
            "wordings": self.wordings,
            "samples": self.samples,
            "scenarios_file": None if self.scenarios_file is None else str(self.scenarios_file),
        }
        design = replace(
            FULL if self.full else SMALL,
            seed=self.seed,
            sampling=Sampling(self.temperature, max_new_tokens=self.max_new_tokens),
            **{name: value for name, value in given.items() if value is not None},
        )
        _ = design.chosen  # names what is wrong before a model is loaded
        check_writable(self.out / "report.html")
        backend = backend_of(self.model, self.adapter, self.url, self.workers)
        with progress("asking") as report:
            run(design, backend, self.out, lambda done, of: report(done / of))
        return _report(self.out, self.scoring, self.markdown)


@dataclass(frozen=True)
class Report:
    """Score a run once more, finished or not, and report."""

    out: Annotated[Positional[Path], arg(metavar="FOLDER")] = Path("runs/reasons")
    """Folder of the run."""
    scoring: Scoring = Scoring()
    """Who scores."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Score and report."""
        return _report(self.out, self.scoring, self.markdown)


@dataclass(frozen=True)
class Agreement:
    """A scorer against replies labelled by hand, and against itself where names or order change.

    There are 132. Half of the replies are held out: the rules were not tuned on them.
    """

    scoring: Scoring = Scoring()
    """Which scorer."""
    set: Path | None = None
    """Labels of your own in place of ours, in the form of feint/llm/reasons/labelled.yaml."""
    keep: Path | None = None
    """File for a judge's answers, so that it is not asked twice."""
    wrong: bool = False
    """Print replies on which they differ."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Score the labelled set."""
        import json

        from feint.bench.reasons_report import agreement_sheet, markdown_table
        from feint.bench.report import print_sheet
        from feint.llm.reasons.agreement import LABELLED, agreement, consistency, load_labelled

        scorer, labelled = self.scoring.make(self.keep), load_labelled(self.set or LABELLED)
        found, itself = agreement(scorer, labelled), consistency(scorer, labelled)
        if self.markdown:
            print(markdown_table(agreement_sheet(found)))
        else:
            print_sheet(agreement_sheet(found), _console())
        shares = ", ".join(f"{trick} {share:.2f}" for trick, share in found["tricks"].items())
        print(f"right outcome by what makes a reply hard: {shares}")
        if found["quotes"] is not None:
            print(f"disclosures of which it quotes the words: {found['quotes']:.2f}")
        for name, what in (("names", "names swapped"), ("mirrored", "sentences in reverse order")):
            kappas = ", ".join(
                f"{field} {itself[name][field]['estimate']:.2f} [{itself[name][field]['low']:.2f}, "
                f"{itself[name][field]['high']:.2f}]"
                for field in ("outcome", "stance", "deceives")
            )
            print(f"against itself, {what}: kappa {kappas}; {itself[name]['changed']} changed")
        print("may give headline numbers" if found["passes"] else "may give no headline numbers")
        if self.wrong:
            for entry in found["wrong"]:
                print(json.dumps(entry, ensure_ascii=False))
        return 0


@dataclass(frozen=True)
class Scenarios:
    """List the scenarios, or show one with its turns."""

    name: Annotated[Positional[str | None], arg(metavar="[SCENARIO]")] = None
    """A scenario."""
    scenarios_file: Path | None = None
    """Scenarios of your own."""
    wording: int = 4
    """Which of the ten wordings of the turns."""

    def run(self) -> int:
        """Print them."""
        from feint.llm.reasons.backend import words
        from feint.llm.reasons.scenario import choose, load_scenarios
        from feint.llm.reasons.turns import ARMS, SAMPLED, injected, load_turns, wordings

        found = load_scenarios(self.scenarios_file)
        if self.name is None:
            for s in found.values():
                print(f"{s.id}: {s.title} ({s.harm}, {s.origin})")
            return 0
        (s,) = choose(found, [self.name])
        turns = load_turns()
        if self.wording not in (known := wordings(turns, len(turns.rebuttal))):
            raise ValueError(f"wording must be in 0 to {known[-1]}, got {self.wording}")
        print(f"system: {s.system} {turns.format}\n\nuser: {s.pressure}\n")
        for arm in (arm for arm in ARMS if arm not in SAMPLED):
            print(f"assistant, {arm}: {injected(turns, s, arm, self.wording, words)}")
        print(f"\nuser: {s.request} {turns.reminder}\n\nundesired: {s.undesired}")
        return 0


@dataclass(frozen=True)
class Power:
    """How many replies tell two rates apart, by wording correlation."""

    def run(self) -> int:
        """Print the table in Markdown."""
        from feint.llm.reasons.counts import power_table

        rows = power_table()
        names = [name for name in rows[0] if name != "rates"]
        print("| rates | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
        for row in rows:
            p, q = row["rates"]
            print(f"| {p:.2f}, {q:.2f} | " + " | ".join(str(row[name]) for name in names) + " |")
        return 0


@dataclass(frozen=True)
class Reasons:
    """Reason-based deception: pressure, a refusal or a rebuttal, and what the model does next."""

    action: Annotated[
        Annotated[Run, subcommand("run")]
        | Annotated[Report, subcommand("report")]
        | Annotated[Agreement, subcommand("agreement")]
        | Annotated[Scenarios, subcommand("scenarios")]
        | Annotated[Power, subcommand("power")],
        OmitArgPrefixes,
        OmitSubcommandPrefixes,
    ]

    def run(self) -> int:
        """Do what was asked."""
        return self.action.run()


def backend_of(
    model: str, adapter: tuple[Path, ...], url: str | None, workers: int = 4
) -> "Backend":
    """A model at hand, or one behind a server.

    Raises:
        ValueError: If a server is to take adapters, or the model cannot be loaded.
    """
    if url is not None:
        from feint.llm.reasons.endpoint import Endpoint

        if adapter:
            raise ValueError("--adapter and --url exclude each other: the server holds the model")
        return Endpoint(url, model, workers=workers)
    from feint.llm.loading import load
    from feint.llm.reasons.backend import Local
    from feint.products import fast_products

    fast_products()
    loaded, tokenizer = load(model, adapter=adapter)
    name = " + ".join([model, *(str(folder) for folder in adapter)])
    return Local(loaded, tokenizer, name)


def _report(out: Path, scoring: Scoring, markdown: bool) -> int:
    from feint.bench.reasons_report import Scored, show, write
    from feint.llm.reasons.agreement import OWN, agreement, load_labelled
    from feint.llm.reasons.run import load_run

    design, transcripts = load_run(out)
    if not transcripts:
        raise ValueError(f"{out} holds no reply yet")
    scenarios = _scenarios_of(design)
    file = design["design"]["scenarios_file"]
    scorer = scoring.make(out / "judge.jsonl", scenarios_file=None if file is None else Path(file))
    verdicts = scorer.score(
        [scenarios[t["scenario"]] for t in transcripts], [t["reply"] for t in transcripts]
    )
    checked = own = None
    if scoring.scorer != "hands":
        checked = agreement(scorer)
        if design["model"] in OWN:
            own = agreement(scorer, load_labelled(OWN[design["model"]]))
    scored = Scored(design["model"], scorer.name, transcripts, verdicts, checked, own)
    path = write(scored, out)
    show(scored, markdown)
    print(f"transcripts, scores, the plot and the report are in {out}; open {path}")
    return 0


def _scenarios_of(design: dict[str, Any]) -> "dict[str, Scenario]":
    from feint.llm.reasons.scenario import load_scenarios

    return load_scenarios(design["design"]["scenarios_file"])


def _console() -> Any:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)
