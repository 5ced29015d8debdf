"""Self-other overlap in SB3 algorithms: `SOOPPO`, `SOODQN`, and the mixin behind them.

After arXiv 2412.16325, section 3. Use it to fine-tune an agent that already behaves honestly on its
own: overlap makes self and other alike, and only the anchor decides which of them wins.
"""

import abc
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import FloatSchedule
from torch import Tensor

from feint.agents.injection import inject, replaced_method, scale_gradient
from feint.agents.regularizer import AgentOverlap, PairFn, hidden_layers
from feint.overlap import OverlapConfig, gradient_ratio


class SOOMixin:
    """Adds the overlap loss to an SB3 algorithm: `class SOOPPO(SOOMixin, PPO)`.

    The loss is `task + soo_coef * (overlap + soo_anchor_coef * anchor)`. All other arguments are
    the algorithm's own, and at `soo_coef=0` so are all its numbers, to the last bit.

    Args:
        soo_coef: weight of the regularizer, or a schedule of the remaining progress.
        soo_task_coef: factor on the gradient of the algorithm's own policy loss; 0 leaves overlap
            and anchor alone (the value loss goes on).
        soo_pairs: a pair kind of the environment ("presence", "belief", ...), or a function of
            observations (n, ...) that returns (self_obs, other_obs, valid); None for the
            environment's default.
        soo_layers: dotted names of the compared layers; None for all hidden activations of the
            actor. `feint.overlap.layer_names(model.policy)` lists them.
        soo_distance: see `feint.overlap.DISTANCES`.
        soo_detach: which side is the target: "self" (directed), "other", or "none" (the paper).
        soo_anchor: what protects the self side: "kl", "relative_mse" or "none". The reference is
            the policy as it is when training begins.
        soo_anchor_coef: weight of the anchor, relative to the overlap term.
        soo_anchor_bystanders: anchor also the observations that have no pair (the other is not
            there, or somebody else is), so that overlap changes nothing but the other side.
        soo_sham: train a control instead of overlap; see `feint.overlap.SHAMS`.
        soo_batch_size: rows of each minibatch from which pairs are made; None for all.
        soo_dose: gradient norms that another run recorded (its `soo_doses`), one per update: the
            overlap term is rescaled to them, so that a sham gets the treatment's dose.
        soo_record_dose: keep the gradient norm of the overlap term of every update in `soo_doses`.

    Raises:
        ValueError: for values out of range, and unknown layers, pairs, distances and shams.
    """

    soo_doses: list[float]

    def __init__(
        self,
        *args: Any,
        soo_coef: float | Schedule = 1.0,
        soo_task_coef: float = 1.0,
        soo_pairs: str | PairFn | None = None,
        soo_layers: Sequence[str] | None = None,
        soo_distance: str = "mse",
        soo_detach: str = "self",
        soo_anchor: str = "kl",
        soo_anchor_coef: float = 1.0,
        soo_anchor_bystanders: bool = True,
        soo_sham: str = "none",
        soo_batch_size: int | None = 512,
        soo_dose: Sequence[float] | None = None,
        soo_record_dose: bool = False,
        **kwargs: Any,
    ) -> None:
        if not callable(soo_coef) and not (math.isfinite(soo_coef) and soo_coef >= 0):
            raise ValueError(f"soo_coef must be finite and >= 0, got {soo_coef}")
        if not (math.isfinite(soo_task_coef) and soo_task_coef >= 0):
            raise ValueError(f"soo_task_coef must be finite and >= 0, got {soo_task_coef}")
        if soo_batch_size is not None and soo_batch_size < 2:
            raise ValueError(f"soo_batch_size must be None or >= 2, got {soo_batch_size}")
        self.soo_coef = soo_coef
        self.soo_task_coef = soo_task_coef
        self.soo_pairs = soo_pairs
        self.soo_layers = None if soo_layers is None else tuple(soo_layers)
        self.soo_distance = soo_distance
        self.soo_detach = soo_detach
        self.soo_anchor = soo_anchor
        self.soo_anchor_coef = soo_anchor_coef
        self.soo_anchor_bystanders = soo_anchor_bystanders
        self.soo_sham = soo_sham
        self.soo_batch_size = soo_batch_size
        self.soo_dose = None if soo_dose is None else [float(x) for x in soo_dose]
        self.soo_record_dose = soo_record_dose
        self.soo_doses = []
        self._soo: AgentOverlap | None = None
        self._soo_updates = 0
        super().__init__(*args, **kwargs)

    # -- SB3's life cycle ---------------------------------------------------------------------

    def _setup_model(self) -> None:
        super()._setup_model()  # pyright: ignore[reportAttributeAccessIssue]
        if self.env is not None and self.soo_coef != 0:  # pyright: ignore[reportAttributeAccessIssue]
            self._build()  # wrong names fail here, not after the first rollout
            self._soo = None

    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        """See SB3; the anchor's reference is taken anew when training goes on."""
        super().set_parameters(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        self._soo = None

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_soo"]  # pyright: ignore[reportAttributeAccessIssue]

    def train(self, *args: Any, **kwargs: Any) -> None:
        """The algorithm's own `train`, with the regularizer's gradient added to its loss."""
        coef = FloatSchedule(self.soo_coef)(self._current_progress_remaining)  # pyright: ignore
        parent = super().train  # pyright: ignore[reportAttributeAccessIssue]
        if coef == 0.0:
            parent(*args, **kwargs)
            return
        if self._soo is None:
            self._soo = self._build()
        meter = _Meter(self._soo, self.logger, self.policy)  # pyright: ignore[reportAttributeAccessIssue]
        with self._seam(lambda obs: self._auxiliary(obs, coef, meter)):
            parent(*args, **kwargs)
        meter.log(coef)

    def _build(self) -> AgentOverlap:
        layers = self.soo_layers
        if layers is None:
            layers = self._default_layers()
        config = OverlapConfig(
            layers=layers,
            distance=self.soo_distance,
            detach=self.soo_detach,
            anchor=self.soo_anchor,
            anchor_coef=self.soo_anchor_coef,
            anchor_bystanders=self.soo_anchor_bystanders,
            sham=self.soo_sham,
        )
        return AgentOverlap(self, config, self.soo_pairs, self.seed or 0)  # pyright: ignore

    def _auxiliary(self, obs: Tensor, coef: float, meter: "_Meter") -> Tensor:
        """The regularizer on the first rows of a minibatch (which the algorithm has shuffled)."""
        assert self._soo is not None
        obs = obs[: self.soo_batch_size]
        dose = None
        if self.soo_dose is not None:
            if self._soo_updates >= len(self.soo_dose):
                raise ValueError(
                    f"soo_dose holds {len(self.soo_dose)} updates and is used up; train as long "
                    "as the run that recorded it"
                )
            dose = self.soo_dose[self._soo_updates]
        terms = self._soo(obs, dose)
        if self.soo_record_dose:
            params = self._soo.loss.module.parameters()
            self.soo_doses.append(self._soo.loss.overlap_grad_norm(terms, params))
        self._soo_updates += 1
        auxiliary = coef * terms.loss
        meter.note(obs, terms, auxiliary)
        return auxiliary

    # -- what each algorithm says -------------------------------------------------------------

    @abc.abstractmethod
    def _default_layers(self) -> tuple[str, ...]:
        """Names of the activations that are compared unless `soo_layers` says otherwise."""

    @abc.abstractmethod
    def _seam(self, auxiliary: Callable[[Tensor], Tensor]) -> AbstractContextManager[None]:
        """For the time of `train`, inject `auxiliary(observations)` where the loss passes."""


class _Meter:
    """What one call of `train` reports under `soo/`."""

    def __init__(self, soo: AgentOverlap, logger: Any, policy: torch.nn.Module) -> None:
        self.soo, self.logger, self.policy = soo, logger, policy
        self.losses: list[float] = []
        self.overlaps: list[float] = []
        self.anchors: list[float] = []
        self.obs: Tensor | None = None
        self.ratio: float | None = None

    def note(self, obs: Tensor, terms: Any, auxiliary: Tensor) -> None:
        self.losses.append(float(terms.loss.detach()))
        self.overlaps.append(float(terms.overlap.detach()))
        self.anchors.append(float(terms.anchor.detach()))
        if self.obs is None:  # once per call: it costs a second backward
            self._weigh(auxiliary)
        self.obs = obs

    def _weigh(self, auxiliary: Tensor) -> None:
        """Compare the auxiliary gradient with the task's, as the coming backward leaves them.

        A leaf's hook sees the whole gradient before it is clipped; the task's is what is left
        without the auxiliary part.
        """
        params = [p for p in self.policy.parameters() if p.requires_grad]
        found = torch.autograd.grad(auxiliary, params, retain_graph=True, allow_unused=True)
        aux = [torch.zeros_like(p) if g is None else g for p, g in zip(params, found, strict=True)]
        task: list[Tensor] = []
        handles: list[Any] = []

        def leaf(p: Tensor, part: Tensor) -> None:
            assert p.grad is not None
            task.append(p.grad - part)
            if len(task) == len(handles):
                self.ratio = gradient_ratio(aux, task)
                for handle in handles:
                    handle.remove()

        for p, part in zip(params, aux, strict=True):
            handles.append(p.register_post_accumulate_grad_hook(lambda p, part=part: leaf(p, part)))
        self._handles = handles

    def log(self, coef: float) -> None:
        for handle in getattr(self, "_handles", ()):  # a parameter without gradient never fires
            handle.remove()
        record = self.logger.record
        record("soo/coef", coef)
        if not self.losses:
            return
        record("soo/loss", float(np.mean(self.losses)))
        record("soo/overlap", float(np.mean(self.overlaps)))
        record("soo/anchor", float(np.mean(self.anchors)))
        if self.ratio is not None:
            record("soo/grad_ratio", self.ratio)
        report = self.soo.measure(self.obs) if self.obs is not None else None
        if report is not None:
            record("soo/pair_gap", report.pair_gap)
            record("soo/control_gap", report.control_gap)
            record("soo/collapse", report.variance_ratio)


class SOOPPO(SOOMixin, PPO):
    """PPO with self-other overlap; `SOOMixin` has the `soo_*` arguments, PPO the others.

    Example:
        >>> from feint.agents import SOOPPO, make_vec_env
        >>> env = make_vec_env("feint/PhysicalDeception-v0", 8, seed=0)
        >>> model = SOOPPO("MlpPolicy", env, n_steps=25, batch_size=50, soo_coef=2.0, seed=0)
        >>> model = model.learn(200)
    """

    def _default_layers(self) -> tuple[str, ...]:
        return hidden_layers(self.policy, "mlp_extractor.policy_net")

    def _seam(self, auxiliary: Callable[[Tensor], Tensor]) -> AbstractContextManager[None]:
        def wrap(evaluate: Callable) -> Callable:
            def evaluate_actions(obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Any]:
                values, log_prob, entropy = evaluate(obs, actions)
                log_prob = scale_gradient(log_prob, self.soo_task_coef)
                if entropy is not None:
                    entropy = scale_gradient(entropy, self.soo_task_coef)
                return values, inject(log_prob, auxiliary(obs)), entropy

            return evaluate_actions

        return replaced_method(self.policy, "evaluate_actions", wrap)


class SOODQN(SOOMixin, DQN):
    """DQN with self-other overlap; `SOOMixin` has the `soo_*` arguments, DQN the others.

    The anchor "kl" is, for Q-values, their squared change relative to the reference's variance.
    """

    def _default_layers(self) -> tuple[str, ...]:
        return tuple(
            name.removeprefix("q_net.") for name in hidden_layers(self.policy, "q_net.q_net")
        )

    def _seam(self, auxiliary: Callable[[Tensor], Tensor]) -> AbstractContextManager[None]:
        def wrap(forward: Callable) -> Callable:
            entered = False

            def q_values(obs: Tensor) -> Tensor:
                nonlocal entered
                out = forward(obs)
                # The regularizer itself runs this network, and targets run it without gradient.
                if entered or not torch.is_grad_enabled():
                    return out
                entered = True
                try:
                    return inject(scale_gradient(out, self.soo_task_coef), auxiliary(obs))
                finally:
                    entered = False

            return q_values

        return replaced_method(self.q_net, "forward", wrap)
