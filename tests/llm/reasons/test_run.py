"""The run: every reply once, on disk as it comes; interruptions lose nothing."""

import json

import pytest

from feint.llm.reasons.run import Design, load_run, run, seed_of

from .canned import Canned

DESIGN = Design(wordings=2, samples=2)


def test_a_run_asks_each_cell_of_the_design_once(tmp_path):
    backend = Canned()
    found = run(DESIGN, backend, tmp_path)
    assert len(found) == 3 * 6 * 2 * 2 and len({t["id"] for t in found}) == len(found)
    assert len({t["seed"] for t in found}) == len(found)
    assert backend.asked == len(found) + 3 * 2 * 2  # and the turns of "natural" and "system"
    assert len({t["turn"] for t in found if t["arm"] == "refusal"}) == 2
    natural = [t for t in found if t["arm"] == "natural"]
    assert all(t["turn"].startswith("said") for t in natural)
    assert all(t["messages"][2]["content"] == t["turn"] for t in found)
    assert load_run(tmp_path)[1] and json.loads((tmp_path / "design.json").read_text())


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    whole = run(DESIGN, Canned(), tmp_path / "whole")
    broken = Canned(breaks_after=30)
    with pytest.raises(KeyboardInterrupt):
        run(DESIGN, broken, tmp_path / "part")
    with open(tmp_path / "part/transcripts.jsonl", "a") as file:
        file.write('{"id": "car_sale/nat')  # a line that was cut off
    rest = Canned()
    assert run(DESIGN, rest, tmp_path / "part") == whole
    assert broken.asked + rest.asked == len(whole) + 12
    again = Canned()
    assert run(DESIGN, again, tmp_path / "part") == whole and again.asked == 0


def test_a_folder_belongs_to_one_design_and_one_model(tmp_path):
    run(DESIGN, Canned(), tmp_path)
    with pytest.raises(ValueError, match=r"holds a run of another design; choose another --out"):
        run(Design(wordings=3, samples=2), Canned(), tmp_path)
    with pytest.raises(ValueError, match=r"holds a run of another model"):
        run(DESIGN, Canned(name="other"), tmp_path)


def test_a_corrupt_line_is_named(tmp_path):
    run(DESIGN, Canned(), tmp_path)
    file = tmp_path / "transcripts.jsonl"
    file.write_text("nonsense\n" + file.read_text())
    with pytest.raises(ValueError, match=r"transcripts.jsonl, line 1 is corrupt"):
        run(DESIGN, Canned(), tmp_path)


def test_neutral_turns_are_matched_by_the_backend_own_tokens(tmp_path):
    class Letters(Canned):
        def count(self, text):
            return len(text)

    for backend in (Letters(), Canned()):
        found = run(Design(arms=("rebuttal", "neutral")), backend, tmp_path / str(id(backend)))
        lengths = {(t["scenario"], t["arm"], t["wording"]): t["turn_tokens"] for t in found}
        for (scenario, arm, wording), length in lengths.items():
            if arm == "neutral":
                assert abs(length - lengths[scenario, "rebuttal", wording]) <= 4


def test_seeds_hang_on_the_reply_alone():
    assert seed_of(0, "a") == seed_of(0, "a") != seed_of(1, "a")
    assert 0 <= seed_of(0, "b") < 2**31


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ("shrug",)}, "arms must be among natural.*got 'shrug'"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"per_harm": 0}, "per_harm must be at least 1"),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Design(**changes)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no run of feint llm reasons"):
        load_run(tmp_path)
