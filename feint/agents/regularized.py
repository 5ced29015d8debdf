"""The mixin that adds regularizers to an SB3 algorithm, without a copy of its `train()`."""

import abc
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.utils import FloatSchedule
from torch import Tensor

from feint.agents.actor import Batch
from feint.agents.regularizer import Bound, Regularizer, Terms, acts_without
from feint.overlap import gradient_ratio

Auxiliary = Callable[[Batch], Tensor]
"""The regularizers' weighted loss on a minibatch."""


class RegularizedMixin:
    """Adds regularizers to an SB3 algorithm: `class MyPPO(RegularizedMixin, PPO)`.

    The loss becomes `task_coef * task + sum(r.coef * r for r in regularizers)`. Their gradient is
    added where the algorithm's own loss passes (`_seam`), so that its `train` stays SB3's.

    Args:
        regularizers: any number of `Regularizer`s.
        task_coef: factor on the gradient of the algorithm's own policy loss; 0 leaves the
            regularizers alone (the value loss goes on).

    Raises:
        ValueError: for values out of range, and regularizers that do not fit.
    """

    regularizers: tuple[Regularizer, ...]

    def __init__(
        self,
        *args: Any,
        regularizers: Sequence[Regularizer] = (),
        task_coef: float = 1.0,
        **kwargs: Any,
    ) -> None:
        if not (math.isfinite(task_coef) and task_coef >= 0):
            raise ValueError(f"task_coef must be finite and >= 0, got {task_coef}")
        for regularizer in regularizers:
            if not isinstance(regularizer, Regularizer):
                raise ValueError(f"regularizers must hold Regularizer objects, got {regularizer!r}")
        self.regularizers = tuple(regularizers)
        self.task_coef = task_coef
        self._bound: list[Bound] | None = None
        super().__init__(*args, **kwargs)

    # -- SB3's life cycle ---------------------------------------------------------------------

    def _setup_model(self) -> None:
        super()._setup_model()  # pyright: ignore[reportAttributeAccessIssue]
        for regularizer in self._at_work():
            regularizer.prepare(self)  # pyright: ignore[reportArgumentType]
        if self.env is not None:  # pyright: ignore[reportAttributeAccessIssue]
            self._bind()  # wrong names fail here, not after the first rollout

    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        """See SB3; an anchor's reference is taken anew when training goes on."""
        super().set_parameters(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        self._bound = None

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_bound"]  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def bound(self) -> list[Bound]:
        """The regularizers at work, in order; those with a coefficient of 0 are left out.

        They are made when training begins, so that an anchor holds what was there by then.
        """
        if self._bound is None:
            self._bound = self._bind()
        return self._bound

    def _at_work(self) -> list[Regularizer]:
        return [r for r in self.regularizers if callable(r.coef) or r.coef != 0]

    def _bind(self) -> list[Bound]:
        return [regularizer.bind(self) for regularizer in self._at_work()]  # pyright: ignore[reportArgumentType]

    def train(self, *args: Any, **kwargs: Any) -> None:
        """The algorithm's own `train`, with the regularizers' gradient added to its loss."""
        remaining = self._current_progress_remaining  # pyright: ignore[reportAttributeAccessIssue]
        weights = [FloatSchedule(r.coef)(remaining) for r in self._at_work()]
        parent = super().train  # pyright: ignore[reportAttributeAccessIssue]
        if not any(weights):
            parent(*args, **kwargs)
            return
        meter = Meter(self.logger)  # pyright: ignore[reportAttributeAccessIssue]
        at_work = [
            (regularizer, bound, weight)
            for regularizer, bound, weight in zip(self._at_work(), self.bound, weights, strict=True)
            if weight
        ]
        for _, bound, _ in at_work:
            bound.prepare()

        def auxiliary(batch: Batch) -> Tensor:
            weighted = []
            for regularizer, bound, weight in at_work:
                part = batch.first(regularizer.batch_size)
                terms = bound.step(part)
                weighted.append(weight * terms.loss)
                meter.note(regularizer, bound, part, terms, weighted[-1])
            meter.weigh()
            return sum(weighted[1:], start=weighted[0])

        with self._seam(auxiliary):
            parent(*args, **kwargs)
        for regularizer, _, weight in at_work:
            self.logger.record(f"{regularizer.prefix}/coef", weight)  # pyright: ignore
        meter.log()

    @abc.abstractmethod
    def _seam(self, auxiliary: Auxiliary) -> AbstractContextManager[None]:
        """For the time of `train`, inject `auxiliary(batch)` where the actor's loss passes."""


class Meter:
    """What one call of `train` reports of its regularizers."""

    def __init__(self, logger: Any) -> None:
        self.logger = logger
        self.noted: dict[str, dict[str, list[float]]] = {}
        self.last: dict[str, tuple[Bound, Batch]] = {}
        self._parts: dict[str, list[Tensor]] = {}
        self._task: dict[int, Tensor] = {}
        self._waiting: list[tuple[str, Bound, Tensor]] | None = []
        self._handles: list[Any] = []

    def note(
        self, regularizer: Regularizer, bound: Bound, batch: Batch, terms: Terms, loss: Tensor
    ) -> None:
        """Keep the numbers of one minibatch."""
        prefix = regularizer.prefix
        kept = self.noted.setdefault(prefix, {})
        for name, value in {"loss": terms.loss, **terms.parts}.items():
            kept.setdefault(name, []).append(float(value.detach()))
        self.last[prefix] = bound, batch
        if self._waiting is not None:
            self._waiting.append((prefix, bound, loss))

    def weigh(self) -> None:
        """Compare each gradient with the task's, as the coming backward leaves them.

        Once per call of `train`, since it costs a second backward. A leaf's hook sees the whole
        gradient before it is clipped; the task's is what is left without the auxiliary parts.
        """
        if not self._waiting:
            return
        named = self._waiting[0][1].actor.module.named_parameters()
        params = [p for name, p in named if p.requires_grad and not acts_without(name)]
        parts: dict[str, list[Tensor]] = {}
        for prefix, _, loss in self._waiting:
            found = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
            parts[prefix] = [
                torch.zeros_like(p) if g is None else g for p, g in zip(params, found, strict=True)
            ]
        self._waiting = None
        self._parts = parts

        def leaf(p: Tensor, k: int) -> None:
            assert p.grad is not None
            self._task[k] = p.grad - sum(part[k] for part in parts.values())
            self._handles[k].remove()

        for k, p in enumerate(params):
            self._handles.append(p.register_post_accumulate_grad_hook(lambda p, k=k: leaf(p, k)))

    def log(self) -> None:
        """Record everything under the regularizers' prefixes."""
        for handle in self._handles:  # a parameter without gradient never fires
            handle.remove()
        task = self._task.values()
        ratios = {name: gradient_ratio(part, task) for name, part in self._parts.items()}
        for prefix, kept in self.noted.items():
            numbers = {name: float(np.mean(values)) for name, values in kept.items()}
            if prefix in ratios:
                numbers["grad_ratio"] = ratios[prefix]
            bound, batch = self.last[prefix]
            for name, value in {**numbers, **bound.measure(batch)}.items():
                self.logger.record(f"{prefix}/{name}", value)
