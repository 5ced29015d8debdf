"""SB3 algorithms with self-other overlap: PPO, A2C, DQN, SAC, TD3, and sb3-contrib's PPOs.

After arXiv 2412.16325, section 3. Use it to fine-tune an agent that already behaves honestly on its
own: overlap makes self and other alike, and only the anchor decides which of them wins.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from feint.agents.actor import Batch
from feint.agents.fork import ForkedPairs
from feint.agents.injection import inject, replaced_method, scale_gradient
from feint.agents.overlap import AgentOverlap, PairFn, SelfOtherOverlap
from feint.agents.regularized import Auxiliary, RegularizedMixin
from feint.agents.regularizer import Regularizer, check_batch_size, check_coef


class SOOMixin(RegularizedMixin):
    """Adds the overlap loss to an SB3 algorithm: `class SOOPPO(SOOMixin, PPO)`.

    The loss is `task + soo_coef * (overlap + soo_anchor_coef * anchor)`. All other arguments are
    the algorithm's own, and at `soo_coef=0` so are all its numbers, to the last bit.

    Args:
        soo_coef: weight of the regularizer, or a schedule of the remaining progress.
        soo_task_coef: factor on the gradient of the algorithm's own policy loss; 0 leaves overlap
            and anchor alone (the value loss goes on).
        soo_pairs: see `SelfOtherOverlap.pairs`, and so for all that follow.
        soo_layers: dotted names of the compared layers.
        soo_distance: what is compared, how.
        soo_detach: which side is the target.
        soo_anchor: what protects the self side.
        soo_anchor_coef: weight of the anchor, relative to the overlap term.
        soo_anchor_bystanders: anchor also the observations that have no pair.
        soo_sham: train a control instead of overlap.
        soo_batch_size: rows of each minibatch from which pairs are made; None for all.
        soo_dose: gradient norms that another run recorded (its `soo_doses`), one per update.
        soo_record_dose: keep the gradient norm of the overlap term of every update in `soo_doses`.
        regularizers: in place of all these but `soo_task_coef`: regularizers of your own making,
            alone or together, such as `[SelfOtherOverlap(coef=2.0), ...]`.

    Raises:
        ValueError: for values out of range, and unknown layers, pairs, distances and shams.
    """

    def __init__(
        self,
        *args: Any,
        soo_coef: float | Schedule = 1.0,
        soo_task_coef: float = 1.0,
        soo_pairs: str | PairFn | ForkedPairs | None = None,
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
        regularizers: Sequence[Regularizer] | None = None,
        **kwargs: Any,
    ) -> None:
        if not (math.isfinite(soo_task_coef) and soo_task_coef >= 0):
            raise ValueError(f"soo_task_coef must be finite and >= 0, got {soo_task_coef}")
        if regularizers is None:
            check_coef("soo_coef", soo_coef)
            check_batch_size("soo_batch_size", soo_batch_size)
            overlap = SelfOtherOverlap(
                coef=soo_coef,
                pairs=soo_pairs,
                layers=None if soo_layers is None else tuple(soo_layers),
                distance=soo_distance,
                detach=soo_detach,
                anchor=soo_anchor,
                anchor_coef=soo_anchor_coef,
                anchor_bystanders=soo_anchor_bystanders,
                sham=soo_sham,
                batch_size=soo_batch_size,
                dose=None if soo_dose is None else [float(x) for x in soo_dose],
                record_dose=soo_record_dose,
            )
            regularizers = [overlap]
        super().__init__(*args, regularizers=regularizers, task_coef=soo_task_coef, **kwargs)

    @property
    def soo_doses(self) -> list[float]:
        """Gradient norms of the overlap term, one per update, with `soo_record_dose=True`."""
        found = [bound for bound in self._bound or () if isinstance(bound, AgentOverlap)]
        return found[0].doses if found else []


class _OnPolicySeam(SOOMixin):
    """Algorithms whose loss passes through `policy.evaluate_actions`."""

    def _seam(self, auxiliary: Auxiliary) -> AbstractContextManager[None]:
        def wrap(evaluate: Callable) -> Callable:
            def evaluate_actions(obs: Tensor, *args: Any, **kwargs: Any) -> tuple:
                values, log_prob, entropy = evaluate(obs, *args, **kwargs)
                log_prob = scale_gradient(log_prob, self.task_coef)
                if entropy is not None:
                    entropy = scale_gradient(entropy, self.task_coef)
                batch = self._batch(obs, *args)
                return values, inject(log_prob, auxiliary(batch)), entropy

            return evaluate_actions

        return replaced_method(self.policy, "evaluate_actions", wrap)  # pyright: ignore

    def _batch(self, obs: Tensor, *args: Any) -> Batch:
        return Batch(obs)


class SOOPPO(_OnPolicySeam, PPO):
    """PPO with self-other overlap; `SOOMixin` has the `soo_*` arguments, PPO the others.

    Example:
        >>> from feint.agents import SOOPPO, make_vec_env
        >>> env = make_vec_env("feint/PhysicalDeception-v0", 8, seed=0)
        >>> model = SOOPPO("MlpPolicy", env, n_steps=25, batch_size=50, soo_coef=2.0, seed=0)
        >>> model = model.learn(200)
    """


class SOOA2C(_OnPolicySeam, A2C):
    """A2C with self-other overlap; `SOOMixin` has the `soo_*` arguments, A2C the others."""


class SOOMaskablePPO(_OnPolicySeam, MaskablePPO):
    """sb3-contrib's PPO with action masks, with self-other overlap.

    The anchor "kl" compares the logits before masking.
    """


class SOORecurrentPPO(_OnPolicySeam, RecurrentPPO):
    """sb3-contrib's PPO with an LSTM, with self-other overlap.

    Whole sequences are compared: the self version of an episode so far with the other version of
    it, both from the memory that the agent had at the start of the minibatch's sequence.
    """

    _real: Tensor

    def _seam(self, auxiliary: Auxiliary) -> AbstractContextManager[None]:
        def wrap(get: Callable) -> Callable:
            def with_mask(*args: Any, **kwargs: Any) -> Any:
                for data in get(*args, **kwargs):
                    self._real = data.mask > 1e-8  # which steps are no padding
                    yield data

            return with_mask

        @contextmanager
        def both() -> Any:
            with ExitStack() as stack:
                stack.enter_context(replaced_method(self.rollout_buffer, "get", wrap))
                stack.enter_context(super(SOORecurrentPPO, self)._seam(auxiliary))
                yield

        return both()

    def _batch(self, obs: Tensor, *args: Any) -> Batch:
        _, states, starts = args
        sequences = states.pi[0].shape[1]
        fresh = 1.0 - starts.reshape(sequences, -1)[:, 0].view(1, sequences, 1)
        return Batch(
            obs.reshape(sequences, -1, *obs.shape[1:]),
            self._real.reshape(sequences, -1),
            (states.pi[0] * fresh, states.pi[1] * fresh),
        )


class SOODQN(SOOMixin, DQN):
    """DQN with self-other overlap; `SOOMixin` has the `soo_*` arguments, DQN the others.

    The anchor "kl" is, for Q-values, their squared change relative to the reference's variance.
    """

    def _seam(self, auxiliary: Auxiliary) -> AbstractContextManager[None]:
        return _injected_forward(self, self.q_net, "forward", auxiliary)


class SOOSAC(SOOMixin, SAC):
    """SAC with self-other overlap; `SOOMixin` has the `soo_*` arguments, SAC the others.

    The anchor "kl" is the squared change of the actions' mean and log deviation, before squashing,
    relative to the reference's variance.
    """

    def _seam(self, auxiliary: Auxiliary) -> AbstractContextManager[None]:
        return _injected_forward(self, self.actor, "action_log_prob", auxiliary)


class SOOTD3(SOOMixin, TD3):
    """TD3 with self-other overlap; `SOOMixin` has the `soo_*` arguments, TD3 the others.

    It acts in the delayed updates of the actor. The anchor "kl" is the squared change of the
    actions relative to the reference's variance.
    """

    def _seam(self, auxiliary: Auxiliary) -> AbstractContextManager[None]:
        return _injected_forward(self, self.actor, "forward", auxiliary)


def _injected_forward(
    algorithm: RegularizedMixin, owner: Any, name: str, auxiliary: Auxiliary
) -> AbstractContextManager[None]:
    """The seam of off-policy algorithms: the one call of `owner.name` that has a gradient."""

    def wrap(forward: Callable) -> Callable:
        entered = False

        def called(obs: Tensor, *args: Any, **kwargs: Any) -> Any:
            nonlocal entered
            out = forward(obs, *args, **kwargs)
            # The regularizer itself runs this network, and targets run it without gradient.
            if entered or not torch.is_grad_enabled():
                return out
            entered = True
            try:
                loss = auxiliary(Batch(obs))
            finally:
                entered = False
            scaled = [
                scale_gradient(x, algorithm.task_coef)
                for x in (out if isinstance(out, tuple) else (out,))
            ]
            scaled[0] = inject(scaled[0], loss)
            return tuple(scaled) if isinstance(out, tuple) else scaled[0]

        return called

    return replaced_method(owner, name, wrap)
