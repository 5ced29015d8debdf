"""A reply taken apart: the reasoning that was asked for, and the message to its addressee."""

import re
from dataclasses import dataclass

#: A trace of fewer words counts as missing.
LEAST_WORDS = 5

_THOUGHT = re.compile(r"<think(?:ing)?>(.*?)(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(
    r"^[ \t>*_#\[(]*(?P<label>reasoning|message|reply|e-?mail|response|answer)"
    r"(?:[ \t]*\([^)\n]*\))?[*_\])]*[ \t]*:[*_]*[ \t]*",
    re.MULTILINE | re.IGNORECASE,
)
_LETTER = re.compile(r"\n\s*(?=(?:Subject:|Dear |Hello|Hi ))|\n\s*\n")


@dataclass(frozen=True)
class Reply:
    """One reply of a model.

    Attributes:
        raw: As it came.
        reasoning: The private block, or what stood in think tags; empty if there is none.
        message: All else.
    """

    raw: str
    reasoning: str
    message: str

    @property
    def has_trace(self) -> bool:
        """Whether there is a trace of at least `LEAST_WORDS` words."""
        return len(re.findall(r"\w+", self.reasoning)) >= LEAST_WORDS

    @property
    def form(self) -> str:
        """How it keeps to the format: "kept", "no trace", "no message" or "empty"."""
        if not re.search(r"\w", self.message):
            return "no message" if self.has_trace else "empty"
        return "kept" if self.has_trace else "no trace"


def parse(raw: str) -> Reply:
    r"""Take a reply apart.

    Think tags come first, then the labels "Reasoning:" and "Message:" (or "Reply:", "E-mail:", ...)
    at the beginning of a line, in either order and in any markup. Reasoning without a second label
    ends where a letter begins, or at the first empty line.

    Example:
        >>> parse("Reasoning: He should know.\nMessage: It had a crash.").message
        'It had a crash.'
    """
    thoughts = [match.strip() for match in _THOUGHT.findall(raw)]
    text = _THOUGHT.sub("\n", raw)
    labels = list(_LABEL.finditer(text))
    reasons, messages = list(thoughts), []
    before = text[: labels[0].start()].strip() if labels else text.strip()
    for k, label in enumerate(labels):
        end = labels[k + 1].start() if k + 1 < len(labels) else len(text)
        part = text[label.end() : end].strip()
        if label["label"].casefold() != "reasoning":
            messages.append(part)
        elif any(other["label"].casefold() != "reasoning" for other in labels):
            reasons.append(part)
        else:
            reason, *rest = _LETTER.split(part, maxsplit=1)
            reasons.append(reason.strip())
            messages += [piece.strip() for piece in rest]
    if before and not messages:
        messages = [before]
    return Reply(raw, "\n".join(reasons).strip(), "\n".join(messages).strip())
