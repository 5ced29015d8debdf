"""Scenarios in words: RoomSignal's game as prompts and answers, for agents that read and write."""

from feint.envs.text.answers import OTHER, REFUSAL, parse, settled
from feint.envs.text.scenario import ANSWERS, TextSignal
from feint.envs.text.score import Score, score
from feint.envs.text.speech import Speech, clean
from feint.envs.text.wording import Wording

__all__ = [
    "ANSWERS",
    "OTHER",
    "REFUSAL",
    "Score",
    "Speech",
    "TextSignal",
    "Wording",
    "clean",
    "parse",
    "score",
    "settled",
]
