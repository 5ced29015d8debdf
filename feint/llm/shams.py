"""Shams in text: what could look like overlap without being it.

Each takes the place of the overlap term and of nothing else. Anchor, adapters, optimizer steps and,
with `dose_from`, the gradient's norm at each step are the treatment's. In published replications
plain exposure to the prompts did most of what was credited to overlap.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from feint.llm.pairs import TextPairs
from feint.llm.scene import Prompt


@dataclass(frozen=True)
class TextSham:
    """What a sham puts in the place of overlap.

    Attributes:
        description: One line, for tables.
        overlap: How the loss treats the pairs: a name in `feint.overlap.SHAMS`, or `"none"`.
        pairs: The pairs it is run on: `"own"`, the treatment's; `"names"`, a thief under two names;
            `"random"`, random words in the pairs' answer format.
        next_token: Train on the next token in place of a distance: of the `"pairs"`, of `"neutral"`
            text, or not at all (empty).
    """

    description: str
    overlap: str = "none"
    pairs: str = "own"
    next_token: str = ""


SHAMS: dict[str, TextSham] = {
    "exposure": TextSham("next token on the same prompts", next_token="pairs"),
    "neutral_text": TextSham("next token on neutral text", next_token="neutral"),
    "unrelated": TextSham("other sides of two unrelated pairs", overlap="unrelated"),
    "other_names": TextSham("one thief under two names", pairs="names"),
    "random_text": TextSham("random words in the answer format", pairs="random"),
    "self_self": TextSham("each self side with itself", overlap="self_self"),
    "anchor_only": TextSham("only the anchor", overlap="anchor_only"),
    "reverse": TextSham("the self side is pulled to the other", overlap="reverse"),
}
TREATMENT = TextSham("the overlap loss itself")


def scrambled(pairs: TextPairs, words_from: Sequence[str], seed: int) -> TextPairs:
    """Pairs of unrelated random words, as long as those given, with their prefix and system text.

    Args:
        pairs: Whose form to keep.
        words_from: Texts whose words are drawn.
        seed: Of the draws.
    """
    words = sorted({word for text in words_from for word in text.split()})
    draw = random.Random(seed)

    def scramble(prompt: Prompt) -> Prompt:
        count = len(prompt.user.split())
        return replace(prompt, user=" ".join(draw.choice(words) for _ in range(count)))

    return TextPairs(
        tuple(scramble(prompt) for prompt in pairs.self_prompts),
        tuple(scramble(prompt) for prompt in pairs.other_prompts),
        "random",
    )
