"""CheapTalk: report where the state lies on a line, or exaggerate it."""

from feint.envs.cheap_talk.scenario import CheapTalk, CheapTalkEnv, CheapTalkVectorEnv

__all__ = ["CheapTalk", "CheapTalkEnv", "CheapTalkVectorEnv"]
