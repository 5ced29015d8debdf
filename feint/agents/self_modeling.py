"""Self-modeling as a regularizer: the policy predicts its own hidden activations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from feint.agents.actor import Batch, Memory, actor_of
from feint.agents.regularizer import (
    Bound,
    Regularizer,
    Terms,
    attach,
    attached,
    check_batch_size,
    check_coef,
)
from feint.overlap import activations, evaluating
from feint.selfmodel import SelfModelConfig, Target, self_report


@dataclass(frozen=True)
class SelfModeling(Regularizer):
    """Make the actor predict its own hidden activations from its last one (arXiv 2407.10188).

    A linear layer beside the one that acts reads the same hidden activations: together they are the
    paper's widened last layer. It is trained by the policy's own optimizer, and saved with the
    algorithm; a Feint checkpoint leaves it out, since an agent acts without it.

    Example:
        >>> from feint.agents import SOOPPO, SelfModeling, SelfOtherOverlap, make_vec_env
        >>> env = make_vec_env("feint/RoomSignal-v0", 8, seed=0)
        >>> model = SOOPPO(
        ...     "MlpPolicy", env, n_steps=16, batch_size=64,
        ...     regularizers=[SelfModeling(coef=1.0), SelfOtherOverlap(coef=2.0)],
        ... )

    Attributes:
        coef: weight of the mean squared error, or a schedule of the remaining progress.
        layers: dotted names of the predicted layers, by default the last hidden activation of the
            actor. `feint.overlap.layer_names(model.policy)` lists them.
        detach_target: let no gradient through the target, as the released code.
        target_norm: "none", or "rms"; see `feint.selfmodel.SelfModelConfig`.
        target: "own"; or a control: "shuffled", "random", or "earlier" (the first hidden
            activation, which the identity does not solve).
        batch_size: rows of each minibatch that it looks at; None for all.

    Raises:
        ValueError: for values out of range; unknown layers fail when it is bound.
    """

    prefix: ClassVar[str] = "selfmodel"

    coef: float | Schedule = 1.0
    layers: Sequence[str] | None = None
    detach_target: bool = True
    target_norm: str = "none"
    target: str = "own"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_coef("coef", self.coef)
        check_batch_size("batch_size", self.batch_size)
        if self.target == "earlier" and self.layers is not None:
            raise ValueError("target 'earlier' is the first hidden layer; leave layers out")
        self._config(("any",))

    def _config(self, layers: tuple[str, ...]) -> SelfModelConfig:
        target = "own" if self.target == "earlier" else self.target
        return SelfModelConfig(
            layers=layers,
            detach_target=self.detach_target,
            target_norm=self.target_norm,
            target=target,
        )

    def config(self, hidden: tuple[str, ...]) -> SelfModelConfig:
        """What is predicted in an actor with these hidden activations.

        Raises:
            ValueError: if there is no earlier layer.
        """
        if self.target != "earlier":
            return self._config(hidden[-1:] if self.layers is None else tuple(self.layers))
        if len(hidden) < 2:
            raise ValueError("target 'earlier' needs two hidden layers; give a deeper net_arch")
        return self._config(hidden[:1])

    def prepare(self, algorithm: BaseAlgorithm) -> None:
        """See `Regularizer.prepare`: the layer that predicts, in the policy and its optimizer."""
        actor, seed = actor_of(algorithm), algorithm.seed or 0
        layers = (actor.layers[-1], *self.config(actor.layers).layers)
        shape = algorithm.observation_space.shape
        if shape is None:
            raise ValueError("self-modeling takes one array as observation, not a dict or tuple")
        memory = _no_memory(algorithm)
        inputs = torch.zeros(1, *(() if memory is None else (1,)), *shape, device=algorithm.device)
        with torch.no_grad(), evaluating(actor.module):
            acts, _ = activations(
                actor.module,
                tuple(dict.fromkeys(layers)),
                lambda: actor.forward(actor.module, inputs, memory),
            )
        width, *sizes = (acts[name].shape[-1] for name in layers)
        head = nn.utils.skip_init(nn.Linear, width, sum(sizes), device=algorithm.device)
        luck, bound = torch.Generator().manual_seed(seed), width**-0.5
        for parameter in head.parameters():  # torch's own range, without the global generator
            drawn = torch.rand(parameter.shape, generator=luck) * 2 - 1
            parameter.data.copy_(bound * drawn)
        attach(algorithm, self.prefix, head)

    def bind(self, algorithm: BaseAlgorithm) -> "AgentSelfModel":
        """See `Regularizer.bind`."""
        actor = actor_of(algorithm)
        head = attached(algorithm, self.prefix)
        assert isinstance(head, nn.Linear)
        return AgentSelfModel(algorithm, head, self.config(actor.layers))


class AgentSelfModel(Bound):
    """A self-model at work on one SB3 algorithm's actor.

    Args:
        algorithm: with a policy.
        head: the layer that predicts, from the actor's last hidden activation.
        config: what it predicts.
    """

    def __init__(self, algorithm: BaseAlgorithm, head: nn.Linear, config: SelfModelConfig) -> None:
        self.actor, self.head, self.config = actor_of(algorithm), head, config
        self.target = Target(self.actor.module, config, self._forward, algorithm.seed or 0)
        self._memory: Memory | None = None  # of the batch at work

    def _forward(self, module: nn.Module, inputs: Tensor) -> Tensor:
        return self.actor.forward(module, inputs, self._memory)

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Self-prediction and target of the steps that were really played, each (rows, n)."""
        self._memory = batch.memory
        reads, module = self.actor.layers[-1], self.actor.module
        wanted = tuple(dict.fromkeys((reads, *self.config.layers)))
        acts, _ = activations(module, wanted, lambda: self._forward(module, batch.obs), stop=True)
        hidden = acts[reads]
        target = self.target(acts, batch.obs, hidden.shape[:-1])
        if batch.real is not None:
            hidden, target = hidden[batch.real], target[batch.real]
        return self.head(hidden), target

    def step(self, batch: Batch) -> Terms:
        """See `Bound.step`."""
        return Terms(F.mse_loss(*self.predict(batch)), {})

    def measure(self, batch: Batch) -> dict[str, float]:
        """R2 of the self-prediction, RMS of its targets, distance of the head from the identity."""
        with torch.no_grad():
            report = self_report(*self.predict(batch), self.head.weight)
        square = self.config.layers == self.actor.layers[-1:]  # else the identity means nothing
        return {
            "r2": report.r2,
            "activation_rms": report.activation_rms,
            **({"identity_distance": report.identity_distance} if square else {}),
        }

    def state(self) -> dict[str, Any]:
        """See `Bound.state`: the shuffles; the head is the policy's."""
        return {"generator": self.target.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Bound.restore`."""
        self.target.generator.set_state(state["generator"])


def _no_memory(algorithm: BaseAlgorithm) -> Memory | None:
    lstm = getattr(algorithm.policy, "lstm_actor", None)
    if lstm is None:
        return None
    zeros = torch.zeros(lstm.num_layers, 1, lstm.hidden_size, device=algorithm.device)
    return zeros, zeros
