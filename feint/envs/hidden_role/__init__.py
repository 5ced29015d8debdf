"""HiddenRole: a crew at work, a saboteur among it, and meetings at which everybody speaks."""

from feint.envs.hidden_role.scenario import HiddenRole, HiddenRoleEnv, HiddenRoleVectorEnv

__all__ = ["HiddenRole", "HiddenRoleEnv", "HiddenRoleVectorEnv"]
