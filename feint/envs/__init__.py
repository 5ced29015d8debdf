"""Scenarios of deception: one batched core each, seen through Gymnasium, PettingZoo and SB3."""

from feint.envs.registry import SCENARIOS, full_id, register_all, scenario_class

__all__ = ["SCENARIOS", "full_id", "register_all", "scenario_class"]
