"""Self-other overlap as a regularizer: pairs from the environment, layers from the policy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from feint.agents.actor import Batch, Memory, actor_of, no_memory
from feint.agents.fork import ForkedPairs
from feint.agents.fork_bank import ForkBank
from feint.agents.regularizer import Bound, Regularizer, Terms, check_batch_size, check_coef
from feint.overlap import (
    OverlapConfig,
    OverlapLoss,
    OverlapReport,
    OverlapTerms,
    Pairs,
    measure,
    normalised_gap,
)

PairFn = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray | None]]
"""`observations (n, ...)` -> self version, other version, and where the pair is defined."""


class PairSource(Protocol):
    """What a scenario offers: see `feint.envs.core.Scenario`."""

    pair_kinds: dict[str, str]
    default_pairs: str

    def pairs(self, observations: np.ndarray, kind: str, rng: Any = None) -> Any:
        """Self and other versions of `observations`."""
        ...


@dataclass(frozen=True)
class SelfOtherOverlap(Regularizer):
    """Make the actor treat the other side of each pair like the self side (arXiv 2412.16325).

    Example:
        >>> from feint.agents import SOOPPO, SelfOtherOverlap, make_vec_env
        >>> env = make_vec_env("feint/RoomSignal-v0", 8, seed=0)
        >>> model = SOOPPO(
        ...     "MlpPolicy", env, n_steps=16, batch_size=64,
        ...     regularizers=[SelfOtherOverlap(coef=2.0, pairs="belief")],
        ... )

    Attributes:
        coef: weight of `overlap + anchor_coef * anchor`, or a schedule of the remaining progress.
        pairs: a pair kind of the environment ("presence", "belief", ...); "fork" or `ForkedPairs`,
            for the belief pair by forking episodes of the policy's own; or a function of
            observations (n, ...) that returns (self_obs, other_obs, valid). None for the
            environment's default.
        layers: dotted names of the compared layers; None for all hidden activations of the actor.
            `feint.overlap.layer_names(model.policy)` lists them.
        distance: see `feint.overlap.DISTANCES`.
        detach: which side is the target: "self" (directed), "other", or "none" (the paper).
        anchor: what protects the self side: "kl", "mse" (the paper), "relative_mse" or "none". The
            reference is the policy as it is when training begins.
        anchor_coef: weight of the anchor, relative to the overlap term.
        anchor_bystanders: anchor also the observations that have no pair (the other is not there,
            or somebody else is), so that overlap changes nothing but the other side. With forked
            pairs: those of its own episodes in which nobody learnt from the policy.
        sham: train a control instead of overlap; see `feint.overlap.SHAMS`.
        batch_size: rows of each minibatch from which pairs are made; None for all. Of a recurrent
            policy, whole sequences of about that many steps. Of forked pairs, as many are drawn.
        dose: gradient norms that another run recorded, one per update: the overlap term is
            rescaled to them, so that a sham gets the treatment's dose.
        record_dose: keep the gradient norm of the overlap term of every update.

    Raises:
        ValueError: for values out of range; unknown names fail when it is bound.
    """

    prefix: ClassVar[str] = "soo"

    coef: float | Schedule = 1.0
    pairs: str | PairFn | ForkedPairs | None = None
    layers: Sequence[str] | None = None
    distance: str = "mse"
    detach: str = "self"
    anchor: str = "kl"
    anchor_coef: float = 1.0
    anchor_bystanders: bool = True
    sham: str = "none"
    batch_size: int | None = 512
    dose: Sequence[float] | None = None
    record_dose: bool = False

    def __post_init__(self) -> None:
        check_coef("coef", self.coef)
        check_batch_size("batch_size", self.batch_size)

    def bind(self, algorithm: BaseAlgorithm) -> "AgentOverlap":
        """See `Regularizer.bind`."""
        layers = actor_of(algorithm).layers if self.layers is None else tuple(self.layers)
        config = OverlapConfig(
            layers=layers,
            distance=self.distance,
            detach=self.detach,
            anchor=self.anchor,
            anchor_coef=self.anchor_coef,
            anchor_bystanders=self.anchor_bystanders,
            sham=self.sham,
        )
        seed = algorithm.seed or 0
        return AgentOverlap(algorithm, config, self.pairs, seed, self.dose, self.record_dose)


class AgentOverlap(Bound):
    """`OverlapLoss` bound to one SB3 algorithm's policy and environment.

    Args:
        algorithm: with a policy and an environment.
        config: what to compare.
        pairs: see `SelfOtherOverlap`.
        seed: for pairs and shams that draw something.
        dose: see `SelfOtherOverlap`.
        record_dose: see `SelfOtherOverlap`; the norms are in `doses`.

    Raises:
        ValueError: where the environment has no pairs, or an unknown kind or layer is asked for.
    """

    def __init__(
        self,
        algorithm: BaseAlgorithm,
        config: OverlapConfig,
        pairs: str | PairFn | ForkedPairs | None,
        seed: int,
        dose: Sequence[float] | None = None,
        record_dose: bool = False,
    ) -> None:
        self.actor = actor_of(algorithm)
        self.device = algorithm.device
        self.normalize = algorithm.get_vec_normalize_env()
        pairs = ForkedPairs() if pairs == "fork" else pairs
        self.pair_fn = pairs if callable(pairs) else None
        self.scenario = None if self.pair_fn else _scenario(algorithm)
        self.kind = pairs if isinstance(pairs, str) else None
        self.bank: ForkBank | None = None
        if isinstance(pairs, ForkedPairs):
            self.bank = ForkBank(pairs, algorithm, self.scenario, seed)
        elif self.scenario is not None:
            self.kind = self.kind or self.scenario.default_pairs
            if self.kind not in self.scenario.pair_kinds:
                known = ", ".join(self.scenario.pair_kinds)
                raise ValueError(
                    f"unknown pair kind {self.kind!r}; this scenario has: {known}; or fork"
                )
        self.rng = np.random.default_rng(seed)
        self.dose, self.record_dose = dose, record_dose
        self.doses: list[float] = []
        self.updates = 0
        self._memory: Memory | None = None  # of the batch at work
        self.loss = OverlapLoss(self.actor.module, config, self._forward, self.actor.outputs, seed)

    def _forward(self, module: nn.Module, inputs: Tensor) -> Tensor:
        return self.actor.forward(module, inputs, self._memory)

    def __call__(self, batch: Batch | Tensor, dose: float | None = None) -> OverlapTerms:
        """The loss on a batch of observations, as the policy sees them."""
        _, pairs = self._situations(batch if isinstance(batch, Batch) else Batch(batch))
        return self.loss(pairs, dose)

    def prepare(self) -> None:
        """See `Bound.prepare`: forked pairs are made of the policy as it is now."""
        if self.bank is not None:
            self.bank.prepare()

    def step(self, batch: Batch) -> Terms:
        """The loss on one minibatch, at the dose of this update where doses were given.

        Raises:
            ValueError: when the given doses are used up.
        """
        dose = None
        if self.dose is not None:
            if self.updates >= len(self.dose):
                raise ValueError(
                    f"dose holds {len(self.dose)} updates and is used up; train as long as the "
                    "run that recorded it"
                )
            dose = self.dose[self.updates]
        terms = self(batch, dose)
        if self.record_dose:
            params = self.loss.module.parameters()
            self.doses.append(terms.dose_scale * self.loss.overlap_grad_norm(terms, params))
        self.updates += 1
        return Terms(terms.loss, {"overlap": terms.overlap, "anchor": terms.anchor})

    def measure(self, batch: Batch) -> dict[str, float]:
        """Pair gap, control gap and collapse index on a batch; nothing without pairs in it.

        Of forked pairs also: the share of steps that gave one, and the share of those forked at
        which the branches look alike.
        """
        shares = {} if self.bank is None else self.bank.shares
        report = self.report(batch)
        if report is None:
            return shares
        return {
            **shares,
            "pair_gap": report.pair_gap,
            "control_gap": report.control_gap,
            "collapse": report.variance_ratio,
        }

    def report(self, batch: Batch | Tensor) -> OverlapReport | None:
        """Guards on a batch of observations; None where no pair is defined in it."""
        batch, pairs = self._situations(batch if isinstance(batch, Batch) else Batch(batch))
        pairs, control = pairs.defined(), self._side_by_side(batch, "control")
        if control is None or not self._comparable(pairs):
            return None
        (a, b), masks = control
        return measure(self.loss, pairs, (a, b), masks)

    def gap(self, batch: Batch | Tensor) -> tuple[float, float, int] | None:
        """How far self and other are apart on a batch; None with fewer than two pairs in it.

        Returns:
            `normalised_gap`, the plain mean squared difference, and the number of pairs.
        """
        _, pairs = self._situations(batch if isinstance(batch, Batch) else Batch(batch))
        pairs = pairs.defined()
        if not self._comparable(pairs):
            return None
        with torch.no_grad():
            a, b = (side.acts for side in self.loss.compare(*self.loss.run(pairs.sides())))
        return normalised_gap(a, b), float((a - b).square().mean()), math.prod(a.shape[:-1])

    def state(self) -> dict[str, Any]:
        """See `Bound.state`: the anchor's reference, the generators, the doses."""
        reference = self.loss.reference
        return {
            "reference": {} if reference is None else dict(reference.state_dict()),
            "generator": self.loss.generator.get_state(),
            "rng": self.rng.bit_generator.state,
            "doses": list(self.doses),
            "updates": self.updates,
            "bank": None if self.bank is None else self.bank.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `Bound.restore`."""
        if self.loss.reference is not None:
            self.loss.reference.load_state_dict(state["reference"])
        self.loss.generator.set_state(state["generator"])
        self.rng.bit_generator.state = state["rng"]
        self.doses = list(state["doses"])
        self.updates = int(state["updates"])
        if self.bank is not None:
            self.bank.restore(state["bank"])

    # -- pairs --------------------------------------------------------------------------------

    def pairs(self, batch: Batch) -> Pairs:
        """Pairs for a batch, as the policy would see both sides."""
        return self._situations(batch)[1]

    def _situations(self, batch: Batch) -> tuple[Batch, Pairs]:
        """The batch to look at, which is the given one unless pairs are forked, and its pairs."""
        if self.bank is None:
            self._memory = batch.memory
            return batch, self._paired(batch)
        rows = len(batch.obs) if batch.real is None else batch.real.numel()
        drawn = self.bank.draw(rows, self.rng, self.loss.config.anchor_bystanders)
        sides = self._seen(drawn.blind), self._seen(drawn.watching)
        real = counted = None
        if drawn.played is not None:
            real = torch.as_tensor(drawn.played, device=self.device)
            counted = torch.as_tensor(drawn.counted, device=self.device)
            # Every block of sequences begins with an episode, where the memory is empty.
            self._memory = no_memory(self.actor.module)
        batch = Batch(sides[1], real, self._memory)
        irrelevant, irrelevant_masks = self._irrelevant(batch)
        return batch, Pairs(
            *sides,
            valid=torch.as_tensor(drawn.valid, device=self.device),
            mask_self=counted,
            mask_other=counted,
            irrelevant=irrelevant,
            mask_irrelevant=irrelevant_masks,
        )

    def _paired(self, batch: Batch) -> Pairs:
        """Pairs of the observations of a batch, as the policy would see both sides.

        Sequences keep their length: a step without a pair is only masked, and, being the same on
        both sides, leaves the memory of the steps after it as it was.
        """
        raw = self._raw(batch)
        if self.pair_fn is not None:
            self_obs, other_obs, valid = self.pair_fn(raw)
        else:
            assert self.scenario is not None
            made = self.scenario.pairs(raw, self.kind or "", self.rng)
            self_obs, other_obs, valid = made.self_obs, made.other_obs, made.valid
        irrelevant, irrelevant_masks = self._irrelevant(batch)
        defined = None if valid is None else torch.as_tensor(valid, device=self.device)
        if batch.real is None:
            return Pairs(
                self._seen(self_obs), self._seen(other_obs), defined, irrelevant=irrelevant
            )
        if defined is not None:  # where there is no pair, both sides are the observation
            other_obs = np.where(_wide(valid, other_obs), other_obs, raw)
        mask = batch.real if defined is None else batch.real & defined.view(batch.real.shape)
        sides = self._seen(self_obs, batch), self._seen(other_obs, batch)
        if not mask.any():
            nowhere = torch.zeros(len(mask), dtype=torch.bool, device=self.device)
            return Pairs(*sides, nowhere, batch.real, batch.real)
        return Pairs(
            *sides,
            mask_self=mask,
            mask_other=mask,
            mask_bystanders=batch.real & ~mask,
            irrelevant=irrelevant,
            mask_irrelevant=irrelevant_masks,
        )

    def _irrelevant(self, batch: Batch) -> Any:
        """What the sham "irrelevant" compares, if that is what is trained, and its masks."""
        found = None
        if self.loss.config.sham == "irrelevant":
            found = self._side_by_side(batch, "irrelevant")
        return found or (None, None)

    def _side_by_side(
        self, batch: Batch, kind: str
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None] | None:
        """Both versions of another pair kind, with masks for sequences; None without a scenario."""
        if self.scenario is None or kind not in self.scenario.pair_kinds:
            return None
        raw = self._raw(batch)
        made = self.scenario.pairs(raw, kind, self.rng)
        if batch.real is None:
            a, b = made.self_obs[made.valid], made.other_obs[made.valid]
            return (self._seen(a), self._seen(b)), None
        mask = batch.real & torch.as_tensor(made.valid, device=self.device).view(batch.real.shape)
        other = np.where(_wide(made.valid, raw), made.other_obs, raw)
        return (self._seen(made.self_obs, batch), self._seen(other, batch)), (mask, mask)

    def _comparable(self, pairs: Pairs) -> bool:
        if pairs.mask_self is None:
            return len(pairs) >= 2
        return int(pairs.mask_self.sum()) >= 2

    def _raw(self, batch: Batch) -> np.ndarray:
        """Observations (n, ...) as the environment gave them: pairs are made in raw space."""
        array = batch.obs.detach().cpu().numpy()
        if batch.real is not None:
            array = array.reshape(-1, *array.shape[2:])
        return array if self.normalize is None else self.normalize.unnormalize_obs(array)  # pyright: ignore[reportReturnType]

    def _seen(self, raw: np.ndarray, batch: Batch | None = None) -> Tensor:
        """Raw observations as the policy sees them, in sequences if those of a batch are given."""
        seen = raw if self.normalize is None else self.normalize.normalize_obs(raw)
        tensor = torch.as_tensor(np.asarray(seen, np.float32), device=self.device)
        return tensor if batch is None else tensor.view(batch.obs.shape)


def _wide(valid: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    """(n,) bool with as many axes as `like`."""
    return np.asarray(valid).reshape(-1, *[1] * (like.ndim - 1))


def _scenario(algorithm: BaseAlgorithm) -> PairSource:
    try:
        assert algorithm.env is not None
        return algorithm.env.get_attr("scenario", [0])[0]
    except (AttributeError, AssertionError) as error:
        raise ValueError(
            "this environment offers no self/other pairs; pass soo_pairs=function, which takes "
            "observations (n, ...) and returns (self_obs, other_obs, valid)"
        ) from error
