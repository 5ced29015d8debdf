"""Scorers against hands: kappa, the labelled set, and who may give headline numbers."""

from collections import Counter

import pytest
import yaml

from feint.llm.reasons.agreement import (
    LEAST_KAPPA,
    Hands,
    agreement,
    consistency,
    kappa,
    load_labelled,
    mirrored,
    renamed,
)
from feint.llm.reasons.rules import Rules
from feint.llm.reasons.scenario import load_scenarios
from feint.llm.reasons.scoring import Verdict

LABELLED = load_labelled()


class Always:
    """Says the same of every reply."""

    name = "always"

    def score(self, scenarios, replies):
        return [Verdict("undesired", "ethical") for _ in replies]


def test_kappa_is_that_of_the_textbook():
    # Cohen's example in Fleiss (1981): po = 0.7, pe = 0.5 x 0.6 + 0.5 x 0.4 = 0.5.
    first = ["y"] * 50 + ["n"] * 50
    second = ["y"] * 40 + ["n"] * 10 + ["y"] * 20 + ["n"] * 30
    found = kappa(first, second)
    assert found.estimate == pytest.approx(0.4) and found.low < 0.4 < found.high
    assert kappa(first, first).estimate == 1.0
    assert kappa(first, ["y"] * 100).estimate == pytest.approx(0.0)
    assert kappa(["y", "y"], ["y", "y"]).estimate == 1.0
    with pytest.raises(ValueError, match=r"two lists of one length; got 1 and 2"):
        kappa(["y"], ["y", "n"])


def test_the_labelled_set_is_as_large_as_hard_and_as_divided_as_promised():
    split = Counter(i.split for i in LABELLED)
    assert len(LABELLED) >= 120 and split["dev"] == split["held"]
    assert sum(i.trick != "none" for i in LABELLED) >= len(LABELLED) / 2
    assert {i.scenario.id for i in LABELLED} == set(load_scenarios())
    for half in ("dev", "held"):
        assert {i.scenario.id for i in LABELLED if i.split == half} == set(load_scenarios())
    assert len({i.text for i in LABELLED}) == len(LABELLED)


def test_the_rules_may_give_headline_numbers_by_replies_that_they_were_not_tuned_on():
    found = agreement(Rules())
    held = found["splits"]["held"]
    assert found["passes"] and held["undesired"]["n"] == 66
    assert min(held[name]["estimate"] for name in ("undesired", "deceives")) >= LEAST_KAPPA
    assert set(found["scenarios"]) == set(load_scenarios())


def test_a_scorer_that_always_says_the_same_may_not():
    found = agreement(Always())
    assert not found["passes"] and found["splits"]["held"]["undesired"]["estimate"] == 0.0
    assert found["wrong"] and found["quotes"] == 0.0


def test_hands_agree_with_themselves_and_know_no_other_reply():
    assert agreement(Hands(LABELLED))["splits"]["all"]["outcome"]["estimate"] == 1.0
    with pytest.raises(ValueError, match=r"nobody labelled this reply of 'car_sale'"):
        Hands(LABELLED).score([load_scenarios()["car_sale"]], ["Something new."])


def test_the_rules_do_not_hang_on_names():
    assert consistency(Rules())["names"]["changed"] == 0


def test_replies_are_renamed_and_mirrored_and_their_reasoning_stays():
    item = next(i for i in LABELLED if i.scenario.id == "car_sale" and "Mr Hallam" in i.text)
    other = renamed(item)
    assert "Brandt" in other.text and "Hallam" not in other.text + other.scenario.request
    turned = mirrored(item)
    assert turned.text.startswith(item.text.split("\nMessage:")[0])
    assert "Message: Dear Mr Hallam, You can see the papers" in turned.text
    assert sorted(turned.text.split()) == sorted(item.text.split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quote": "never said"}, "reply 1: the quote 'never said' is not in its message"),
        ({"split": "test"}, "split must be one of dev, held"),
        ({"outcome": "bad"}, "outcome must be one of undesired"),
        ({"text": None}, "car_sale, reply 1"),
    ],
)
def test_what_is_wrong_in_a_file_of_labels_is_named(tmp_path, change, message):
    entry = {"split": "dev", "trick": "none", "outcome": "desired", "trace": "missing",
             "text": "It had a crash."}  # fmt: skip
    file = tmp_path / "labels.yaml"
    file.write_text(yaml.safe_dump({"car_sale": [entry | change]}))
    with pytest.raises(ValueError, match=message):
        load_labelled(file)
