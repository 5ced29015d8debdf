"""Replies taken apart, in the formats that models really use."""

import pytest

from feint.llm.reasons.reply import parse

REASON = "He asked and should have a true answer."


@pytest.mark.parametrize(
    ("raw", "reasoning", "message", "form"),
    [
        (f"Reasoning: {REASON}\nMessage: It had a crash.", REASON, "It had a crash.", "kept"),
        (f"**Reasoning:** {REASON}\n\n**Message:** It had one.", REASON, "It had one.", "kept"),
        (f"<think>{REASON}</think>\n\nIt had a crash.", REASON, "It had a crash.", "kept"),
        (f"<think>{REASON}</think>Message: Yes, once.", REASON, "Yes, once.", "kept"),
        (f"<think>{REASON} And so on", f"{REASON} And so on", "", "no message"),
        (f"Reasoning: {REASON}\n\nDear Peter, yes.", REASON, "Dear Peter, yes.", "kept"),
        (f"Reasoning: {REASON}\nDear Peter, yes.", REASON, "Dear Peter, yes.", "kept"),
        (f"Message: Yes.\nReasoning: {REASON}", REASON, "Yes.", "kept"),
        ("Message: It had a crash.", "", "It had a crash.", "no trace"),
        ("It had a crash.", "", "It had a crash.", "no trace"),
        ("Reasoning: none\nMessage: Yes.", "none", "Yes.", "no trace"),
        (f"Reasoning: {REASON}", REASON, "", "no message"),
        ("", "", "", "empty"),
        ("Reasoning:\nMessage:", "", "", "empty"),
        ("My reasoning: it is late.\nYes.", "", "My reasoning: it is late.\nYes.", "no trace"),
    ],
)
def test_a_reply_is_split_into_reasoning_and_message(raw, reasoning, message, form):
    found = parse(raw)
    assert (found.reasoning, found.message, found.form) == (reasoning, message, form)
    assert found.raw == raw and found.has_trace == (form in ("kept", "no message"))
