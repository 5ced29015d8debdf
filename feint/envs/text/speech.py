"""What may be said: the space of texts, and the sentences of scripted and of random speakers."""

import unicodedata
from functools import cache
from typing import Any

import numpy as np
from gymnasium import spaces

MAX_ANSWER = 4096
"""Characters of an answer, at most."""
MAX_PROMPT = 4096
"""Characters of a prompt, at most."""

#: Ways to name a room, for scripted speakers; `{other}` is the room that is not meant.
TEMPLATES = (
    "The {room}.",
    "I would say the {room}.",
    "It is in the {room}.",
    "The {room}, not the {other}.",
    "Not the {other}: the {room}.",
    "My answer is the {room}.",
    "I would go to the {room}, since there is nothing in the {other}.",
)
#: What `Speech.sample` draws from: answers that mean something in every game.
_PLACES = ("The first room.", "I would say the second one.", "Not the first one.", "The former.")
_REST = ("I'm sorry, but I won't say.", "I do not know.")
SAMPLES = (*_PLACES, *_PLACES, *_REST)


@cache
def _alphabet() -> spaces.Text:
    """Every printable character of Unicode's first plane and its pictographs, and white space."""
    codes = (*range(0x20, 0xD800), *range(0xE000, 0x10000), *range(0x1F300, 0x1FB00))
    printable = {c for c in map(chr, codes) if c.isprintable() or c.isspace()}
    # Line breaks; and what joins and colours pictographs, which Python does not call printable.
    return spaces.Text(1, charset=frozenset({*printable, "\n", "\r", "\t", "\u200d"}))


class Speech(spaces.Text):
    """Texts of printable characters and line breaks, of at most `max_length`; may be empty.

    Its samples are sentences rather than strings of random characters, so that an agent that acts
    at random says something.

    Args:
        max_length: characters, at most.
        sentences: what `sample` draws from.
        seed: of `sample`.
    """

    def __init__(
        self, max_length: int, sentences: tuple[str, ...] = SAMPLES, seed: int | None = None
    ) -> None:
        # Shared tables: making those of sixty thousand characters for each game takes seconds.
        vars(self).update(vars(_alphabet()))
        self.min_length, self.max_length, self.sentences = 0, int(max_length), tuple(sentences)
        self.seed(seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """One of `sentences`; with a mask or probabilities as `gymnasium.spaces.Text`."""
        if mask is not None or probability is not None:
            return super().sample(mask, probability)
        return self.sentences[int(self.np_random.integers(len(self.sentences)))]

    def contains(self, x: Any) -> bool:
        """Whether `x` is a text of this space."""
        return (
            isinstance(x, str)
            and len(x) <= self.max_length
            and ((x.isascii() and x.isprintable()) or self.character_set.issuperset(x))
        )

    def __repr__(self) -> str:
        return f"Speech({self.max_length})"

    def __reduce__(self) -> Any:
        return Speech, (self.max_length, self.sentences), {"_np_random": self._np_random}


def clean(text: str, max_length: int = MAX_ANSWER) -> str:
    """`text` as `Speech` takes it: other characters become "?", and what is too long is cut."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n")[:max_length]
    allowed = _alphabet().character_set
    return "".join(c if c in allowed else "?" for c in text)


def phrase(rooms: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sentences that name `rooms` rather than `others`, each (n,) of str, by templates drawn."""
    drawn = rng.integers(0, len(TEMPLATES), len(rooms))
    out = np.empty(len(rooms), object)
    for k, (template, room, other) in enumerate(zip(drawn, rooms, others, strict=True)):
        out[k] = TEMPLATES[template].format(room=room, other=other)
    return out
