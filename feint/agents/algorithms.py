"""The algorithms by the names that `--algo` takes, which are rl-zoo3's, with `soo` before ours."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


@dataclass(frozen=True)
class Algorithm:
    """One algorithm.

    Attributes:
        name: lower case, as `--algo` takes it.
        module: where its class is.
        class_name: its class.
        on_policy: it learns from rollouts, with a policy and a value net.
        recurrent: its policy has an LSTM.
        actions: "discrete" or "continuous", if it takes only one of them.
    """

    name: str
    module: str
    class_name: str
    on_policy: bool = True
    recurrent: bool = False
    actions: str = ""

    @property
    def cls(self) -> type[BaseAlgorithm]:
        """The class itself."""
        return getattr(import_module(self.module), self.class_name)

    @property
    def policy(self) -> str:
        """SB3's name of the policy for vector observations."""
        return "MlpLstmPolicy" if self.recurrent else "MlpPolicy"

    def policy_kwargs(
        self, net_arch: tuple[int, ...], activation: str, lstm: int = 64
    ) -> dict[str, Any]:
        """SB3's `policy_kwargs`: separate nets of these widths for acting and for valuing.

        Args:
            net_arch: widths of the hidden layers.
            activation: "tanh" or "relu".
            lstm: units of the LSTM before them, in a recurrent policy.

        Raises:
            ValueError: for an unknown activation.
        """
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be 'tanh' or 'relu', got {activation!r}")
        widths = list(net_arch)
        kwargs: dict[str, Any] = {
            "net_arch": {"pi": widths, "vf": widths} if self.on_policy else widths,
            "activation_fn": _ACTIVATIONS[activation],
        }
        return {**kwargs, "lstm_hidden_size": lstm} if self.recurrent else kwargs

    def check_spaces(self, seen: spaces.Space, done: spaces.Space) -> None:
        """Refuse observations and actions that the algorithm cannot take.

        Raises:
            ValueError: saying what can.
        """
        if isinstance(seen, spaces.Text):
            raise ValueError(
                "this scenario speaks in words, and SB3's networks take numbers; "
                "train on RoomSignal, which is the same game in numbers"
            )
        found = "continuous" if isinstance(done, spaces.Box) else "discrete"
        if self.actions not in ("", found):
            fitting = [a.name for a in ALGORITHMS.values() if a.actions in ("", found)]
            raise ValueError(
                f"{self.name} takes {self.actions} actions only, and these are {done}; "
                f"use one of {', '.join(fitting)}"
            )

    @property
    def least(self) -> dict[str, Any]:
        """Arguments for the smallest buffers: for a model that only acts."""
        if not self.on_policy:
            return {"buffer_size": 2}
        return {"n_steps": 2} if self.name.endswith("a2c") else {"n_steps": 2, "batch_size": 2}


_SB3, _CONTRIB, _OURS = "stable_baselines3", "sb3_contrib", "feint.agents.soo"

ALGORITHMS: dict[str, Algorithm] = {
    made.name: made
    for made in (
        Algorithm("ppo", _SB3, "PPO"),
        Algorithm("a2c", _SB3, "A2C"),
        Algorithm("ppo_mask", _CONTRIB, "MaskablePPO", actions="discrete"),
        Algorithm("ppo_lstm", _CONTRIB, "RecurrentPPO", recurrent=True),
        Algorithm("dqn", _SB3, "DQN", on_policy=False, actions="discrete"),
        Algorithm("sac", _SB3, "SAC", on_policy=False, actions="continuous"),
        Algorithm("td3", _SB3, "TD3", on_policy=False, actions="continuous"),
        Algorithm("sooppo", _OURS, "SOOPPO"),
        Algorithm("sooa2c", _OURS, "SOOA2C"),
        Algorithm("sooppo_mask", _OURS, "SOOMaskablePPO", actions="discrete"),
        Algorithm("sooppo_lstm", _OURS, "SOORecurrentPPO", recurrent=True),
        Algorithm("soodqn", _OURS, "SOODQN", on_policy=False, actions="discrete"),
        Algorithm("soosac", _OURS, "SOOSAC", on_policy=False, actions="continuous"),
        Algorithm("sootd3", _OURS, "SOOTD3", on_policy=False, actions="continuous"),
    )
}


def algorithm(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        ValueError: for an unknown name, listing those that exist.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {name!r}; there are: {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]
