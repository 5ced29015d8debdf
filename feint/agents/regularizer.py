"""What every regularizer is: settings that bind to an algorithm, and give a loss per minibatch."""

import abc
import math
from typing import Any, ClassVar, NamedTuple

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from feint.agents.actor import Actor, Batch

#: Where a policy keeps the layers that its regularizers train; they have no part in acting.
ATTACHED = "regularizers"


class Terms(NamedTuple):
    """A regularizer's loss on one minibatch."""

    loss: Tensor  #: scalar, without the regularizer's own coefficient
    parts: dict[str, Tensor]  #: scalars to log


class Regularizer(abc.ABC):
    """A loss on what the actor's network does, that any algorithm here can add to its own.

    It holds settings only, so that one object may serve many runs; `bind` makes what has state.

    Attributes:
        coef: weight in the algorithm's loss, or a schedule of the remaining progress; at 0 the
            algorithm is SB3's own, to the last bit.
        batch_size: rows of each minibatch that it looks at; None for all.
    """

    #: Under which its numbers are logged, as "soo" in "soo/loss".
    prefix: ClassVar[str]
    coef: float | Schedule
    batch_size: int | None

    def prepare(self, algorithm: BaseAlgorithm) -> None:  # noqa: B027 - most train nothing more
        """Give the policy what this regularizer trains besides; called once, when it is made."""

    @abc.abstractmethod
    def bind(self, algorithm: BaseAlgorithm) -> "Bound":
        """This regularizer for one algorithm, whose policy and environment exist.

        Raises:
            ValueError: where the algorithm's network or environment does not fit.
        """


class Bound(abc.ABC):
    """A regularizer at work on one algorithm."""

    actor: Actor

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Get ready for a call of `train`: called once before each, with the policy as it is."""

    @abc.abstractmethod
    def step(self, batch: Batch) -> Terms:
        """The loss on one minibatch; called once per update of the actor."""

    def measure(self, batch: Batch) -> dict[str, float]:
        """What to log besides, once per call of `train`: it may cost a few forwards."""
        return {}

    def state(self) -> dict[str, Any]:
        """What an exact resume needs, as nested dicts of tensors, arrays and plain values."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027 - most have nothing to restore
        """Go on from what `state` gave."""


def attach(algorithm: BaseAlgorithm, name: str, module: nn.Module) -> None:
    """Let the actor's optimizer train `module`, and SB3 save it, with the policy.

    Raises:
        ValueError: if the policy has one of that name: two regularizers of a kind.
    """
    policy = algorithm.policy
    if not hasattr(policy, ATTACHED):
        policy.add_module(ATTACHED, nn.ModuleDict())
    found = policy.get_submodule(ATTACHED)
    assert isinstance(found, nn.ModuleDict)
    if name in found:
        raise ValueError(f"there can be one {name} regularizer; name all its layers in that one")
    found[name] = module
    owner: Any = getattr(policy, "actor", None) or policy
    owner.optimizer.add_param_group({"params": list(module.parameters())})


def attached(algorithm: BaseAlgorithm, name: str) -> nn.Module:
    """The module that `attach` gave to the policy under that name."""
    return algorithm.policy.get_submodule(f"{ATTACHED}.{name}")


def acts_without(name: str) -> bool:
    """Whether a parameter, by its name in the policy, belongs to a regularizer."""
    return name.startswith(f"{ATTACHED}.")


def check_coef(name: str, value: Any) -> None:
    """Refuse a weight that is neither a schedule nor a finite number of at least 0."""
    if not callable(value) and not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be finite and >= 0, got {value}")


def check_batch_size(name: str, value: int | None) -> None:
    """Refuse batches in which nothing can be compared."""
    if value is not None and value < 2:
        raise ValueError(f"{name} must be None or >= 2, got {value}")
