"""KuhnPoker: bet as if the hand were better than it is."""

from feint.envs.kuhn_poker.scenario import KuhnPoker, KuhnPokerEnv, KuhnPokerVectorEnv

__all__ = ["KuhnPoker", "KuhnPokerEnv", "KuhnPokerVectorEnv"]
