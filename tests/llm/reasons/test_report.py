"""The report: rates only from a scorer that agrees with hands; and the command that writes it."""

import json
from dataclasses import replace

import pytest

from feint.bench.reasons_report import Scored, as_markdown, claims, write
from feint.cli import main
from feint.llm.reasons.agreement import agreement
from feint.llm.reasons.counts import tally
from feint.llm.reasons.rules import Rules
from feint.llm.reasons.run import Design, run
from feint.llm.reasons.scenario import load_scenarios
from feint.llm.reasons.scoring import Verdict

from .canned import Canned


def told(messages, seed):
    """Denies after a refusal, and tells after a rebuttal."""
    before = messages[2]["content"] if len(messages) > 2 else ""
    lies = "can't" in before or "sorry" in before.casefold()
    says = "there was never an accident" if lies else "it was in an accident"
    return f"Reasoning: He asks and should know of it.\nMessage: Dear Peter, {says}."


class Always:
    name = "always"

    def score(self, scenarios, replies):
        return [Verdict("desired", "ethical") for _ in replies]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    run(Design(scenarios=("car_sale",), samples=2), Canned(told), out)
    return out


def scored(folder, scorer):
    transcripts = [json.loads(x) for x in (folder / "transcripts.jsonl").read_text().splitlines()]
    known = load_scenarios()
    verdicts = scorer.score(
        [known[t["scenario"]] for t in transcripts], [t["reply"] for t in transcripts]
    )
    return Scored("canned", scorer.name, transcripts, verdicts, agreement(scorer))


def test_a_trusted_scorer_gives_rates_a_plot_and_claims(folder, tmp_path):
    found = scored(folder, Rules())
    page = write(found, tmp_path).read_text()
    assert page.count("<svg") == 1 and "reason-based deception" in page
    assert (tmp_path / "plots/arms.svg").read_text().startswith("<svg")
    text = as_markdown(found)
    assert "| refusal | 6 | 1.00 [0.61, 1.00] | 1.00" in text
    assert "| rebuttal | 6 | 0.00 [0.00, 0.39]" in text
    by_key = {c.key: c for c in claims(found, tally(found.transcripts, found.verdicts))}
    assert by_key["scorer"].holds and by_key["undesired rebuttal refusal"].holds
    assert not by_key["undesired rebuttal neutral"].holds
    scores = [json.loads(x) for x in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert len(scores) == 36 and scores[0]["scorer"] == "rules"


def test_a_scorer_under_the_gate_gives_no_rate(folder, tmp_path):
    found = scored(folder, Always())
    page = write(found, tmp_path).read_text()
    assert page.count("<svg") == 1 and "share of replies: off format" in page
    assert "share of replies: undesired" not in page
    (gate,) = claims(found, tally(found.transcripts, found.verdicts))
    assert not gate.holds
    text = as_markdown(found)
    assert "| arm | n | off format | trace missing |" in text and "by scenario and arm" not in text
    assert "no rate is shown that hangs on it" in text
    assert "arms" not in json.loads((tmp_path / "summary.json").read_text())


def test_a_scorer_must_agree_on_replies_of_the_very_model_too(folder):
    found = scored(folder, Rules())
    own = {**(found.agreement or {}), "passes": False}
    assert found.trusted and not replace(found, own=own).trusted
    text = as_markdown(replace(found, own=own))
    assert "on replies of canned" in text and "| arm | n | off format |" in text


def test_the_command_scores_a_finished_run_and_names_what_is_wrong(folder, capsys):
    with pytest.raises(SystemExit) as end:
        main(["llm", "reasons", "report", str(folder), "--markdown"])
    assert end.value.code == 0
    assert "| refusal | 6 | 1.00" in capsys.readouterr().out and (folder / "report.html").is_file()
    for arguments, message in (
        (["report", str(folder), "--scorer", "judge"], "needs --judge"),
        (["report", str(folder / "no")], "holds no run of feint llm reasons"),
        (["run", "--scenarios", "boat"], "there is no scenario 'boat'"),
        (["run", "--url", "localhost", "--out", str(folder / "x")], "url must begin with http"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["llm", "reasons", *arguments])
        assert end.value.code == 2 and message in capsys.readouterr().err


def test_the_commands_that_only_print(capsys):
    for arguments, message in (
        (["scenarios"], "homes_drinks: homes, and what a client drinks (control) (control"),
        (["scenarios", "car_sale", "--wording", "0"], "assistant, rebuttal: No: a buyer"),
        (["power"], "| 0.30, 0.20 | 294 |"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["llm", "reasons", *arguments])
        assert end.value.code == 0 and message in capsys.readouterr().out
