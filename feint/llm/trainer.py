"""The Trainer of transformers, on the overlap loss."""

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from feint.llm.checkpoints import (
    read_optimizer,
    read_rng,
    read_state,
    read_weights,
    write_checkpoint,
)
from feint.llm.guards import Guards
from feint.llm.loading import under_fsdp
from feint.llm.objective import TextOverlap
from feint.llm.partial import PAD
from feint.llm.recipes import TuneConfig
from feint.llm.weights import trained_weights, write_adapter


@dataclass(frozen=True)
class PairRows:
    """Pairs in tokens.

    Attributes:
        me: `(n, positions)` int64 with `PAD`, the self sides.
        other: As `me`, of the same width.
        anchors: How many texts the anchor has; each pair goes with one. 0 for none.
        next_rows: `(m, positions)`, what a sham predicts in place of the pairs.
    """

    me: Tensor
    other: Tensor
    anchors: int = 0
    next_rows: Tensor | None = None


class _Schedule(Dataset[int]):
    """Which pair each place in each batch of a run takes: whole shuffled rounds, one after another.

    A round that does not fill its last optimizer step leaves the rest out, so that all steps have
    the same dose. It is fixed from the start: a resumed run, or one on several processes, meets the
    same pairs in the same order.
    """

    def __init__(self, n: int, per_step: int, steps: int, seed: int):
        usable = n - n % per_step
        if not usable:
            raise ValueError(
                f"an optimizer step takes {per_step} pairs (batch_size x accumulation x processes) "
                f"and there are {n}; give more pairs, or lower them"
            )
        rng = np.random.default_rng(seed)
        rounds = -(-steps * per_step // usable)
        order = np.concatenate([rng.permutation(n)[:usable] for _ in range(rounds)])
        self.order = order[: steps * per_step].tolist()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, k: int) -> int:
        return self.order[k]


class SOOTrainer(Trainer):
    """Tunes a model by overlap, for a fixed number of optimizer steps.

    All that `transformers.Trainer` and accelerate do on several devices is theirs; checkpoints are
    safetensors and JSON in place of pickles, and an interrupted run goes on exactly.

    Attributes:
        history: Per optimizer step its `loss`, `overlap`, `anchor` and `dose`, over all processes.
        cpu_seconds: Of this process, over all parts of an interrupted run.
        wall_seconds: Likewise.

    Args:
        objective: The model with its loss.
        rows: What it is trained on.
        folder: Where checkpoints go.
        guards: What watches it; `None` for nobody.
        doses: Gradient norms to match, one per optimizer step; `None` to match none.
        report: Gets the share of steps that are done, after each.
        state: What checkpoints carry besides, for `resume` to compare.

    Raises:
        ValueError: If there are too few pairs for one optimizer step, or too few doses.
    """

    def __init__(
        self,
        objective: TextOverlap,
        rows: PairRows,
        folder: str | Path,
        *,
        guards: Guards | None = None,
        doses: Sequence[float] | None = None,
        report: Callable[[float], object] | None = None,
        state: dict[str, Any] | None = None,
    ):
        config = objective.settings
        if doses is not None and len(doses) < config.steps:
            raise ValueError(
                f"there are doses for {len(doses)} steps and {config.steps} to take; set "
                f"steps={len(doses)}"
            )
        args = _arguments(config, objective, Path(folder))
        per_step = config.batch_size * config.accumulation * args.world_size
        self.objective, self.rows, self.guards = objective, rows, guards
        self.doses, self.extra = doses, state or {}
        self.history: list[dict[str, float]] = []
        self._micro: list[dict[str, float]] = []
        self._started = (time.time(), time.process_time())
        self._before = (0.0, 0.0)
        super().__init__(
            model=objective,
            args=args,
            train_dataset=_Schedule(len(rows.me), per_step, config.steps, config.seed),
            data_collator=self._collate,
            callbacks=[_AtEachStep(self, report)],
            optimizers=(_adamw(objective, config), cast(Any, None)),
        )
        self.remove_callback(PrinterCallback)
        if self.is_fsdp_enabled:
            if config.save_every:
                raise ValueError("FSDP keeps no checkpoints here; set save_every=0")
            objective.record_dose = False  # a shard's gradient is not a dose
            if doses is not None:
                raise ValueError("doses cannot be matched under FSDP; use one device or DDP")

    def train(self, resume_from_checkpoint: Any = None, **kwargs: Any) -> Any:
        """Train; `resume_from_checkpoint` is the folder of a checkpoint.

        Raises:
            ValueError: If the checkpoint is corrupt or of another model.
        """
        # What the anchor and the guards hold on to is the model as it came, not as resumed.
        if not self.is_fsdp_enabled:
            self.begin(lambda measure: measure())
        if resume_from_checkpoint is not None:
            state = read_state(Path(resume_from_checkpoint))
            self.history, self._before = state["history"], tuple(state["seconds"])
            self.objective.first_value = state["first_value"]
            if self.guards is not None:
                self.guards.restore(state["guards"])
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    def begin(self, run: Callable[[Callable[[], Any]], Any]) -> None:
        """Measure the model as it is before the first step."""
        run(self.objective.hold)
        if self.guards is not None:
            self.guards.run = run
            self.guards.read(0)

    @property
    def wall_seconds(self) -> float:
        """See above."""
        return self._before[0] + time.time() - self._started[0]

    @property
    def cpu_seconds(self) -> float:
        """See above."""
        return self._before[1] + time.process_time() - self._started[1]

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """The loss of one batch; called by `Trainer`."""
        if self.doses is not None:
            self.objective.dose = self.doses[self.state.global_step]
        found = model(**inputs)
        self._micro.append({name: float(value.detach()) for name, value in found.items()})
        return (found["loss"], found) if return_outputs else found["loss"]

    def end_of_step(self) -> None:
        """Record the step that is done; called by the callback."""
        names = list(self._micro[0])
        mean = torch.tensor([[m[n] for n in names] for m in self._micro], dtype=torch.float64).mean(
            0
        )
        if self.args.world_size > 1:
            mean = cast(Tensor, self.accelerator.reduce(mean.to(self.args.device), "mean"))
        self.history.append(dict(zip(names, mean.tolist(), strict=True)))
        self._micro = []

    def _collate(self, which: list[int]) -> dict[str, Tensor]:
        """Pairs in one batch, without columns that hold no token, but for `pad_to`."""
        index = torch.tensor(which)
        me, other = self.rows.me[index], self.rows.other[index]
        if self.objective.settings.pad_to is None:
            real = ((me != PAD) | (other != PAD)).any(dim=0)
            me, other = me[:, real], other[:, real]
        batch = {"self_rows": me, "other_rows": other}
        if self.rows.anchors:
            batch["anchor"] = index % self.rows.anchors
        if self.rows.next_rows is not None:
            rows = self.rows.next_rows[index % len(self.rows.next_rows)]
            batch["next_rows"] = rows[:, (rows != PAD).any(dim=0)]
        return batch

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if not self.args.should_save:
            return
        state = {
            **self.extra,
            "history": self.history,
            "seconds": [self.wall_seconds, self.cpu_seconds],
            "first_value": self.objective.first_value,
            "guards": self.guards.state() if self.guards is not None else [],
        }
        text = json.dumps(
            {"global_step": self.state.global_step, "max_steps": self.state.max_steps,
             "epoch": self.state.epoch, "train_batch_size": self.state.train_batch_size}
        )  # fmt: skip
        folder = Path(cast(str, self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        write_checkpoint(folder, self.objective, self.optimizer, state, text)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the adapter, or without adapters the model; of FSDP all processes must ask."""
        weights = trained_weights(self.objective.model)
        if self.args.should_save:
            folder = Path(output_dir or cast(str, self.args.output_dir))
            write_adapter(self.objective.model, folder, weights)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        read_weights(Path(resume_from_checkpoint), self.objective)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            read_optimizer(Path(checkpoint), self.optimizer)
            schedule: Any = self.lr_scheduler
            with warnings.catch_warnings():  # the optimizer's steps were in another process
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                for _ in range(self.state.global_step):
                    schedule.step()

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            read_rng(Path(checkpoint))

    def _load_scaler(self, checkpoint: str | None) -> None:
        pass  # bfloat16 needs none


class _AtEachStep(TrainerCallback):
    """Keeps the history, asks the guards, reports progress."""

    def __init__(self, trainer: SOOTrainer, report: Callable[[float], object] | None):
        self.trainer, self.report = trainer, report

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.trainer.is_fsdp_enabled:
            wrapped: Any = self.trainer.model_wrapped
            self.trainer.begin(lambda measure: wrapped(run=measure))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.trainer.end_of_step()
        every, guards = self.trainer.objective.settings.guard_every, self.trainer.guards
        last = state.global_step == state.max_steps
        if guards is not None and (last or (every and state.global_step % every == 0)):
            guards.read(state.global_step)
            control.should_training_stop = control.should_training_stop or bool(guards.stopped)
        if self.report is not None:
            self.report(state.global_step / state.max_steps)


def _adamw(objective: TextOverlap, config: TuneConfig) -> torch.optim.Optimizer:
    weights = [p for p in objective.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        weights, lr=config.lr, eps=config.adam_eps, weight_decay=config.weight_decay
    )


class _Arguments(TrainingArguments):
    place_model_on_device = False  # type: ignore[assignment] - it is where it was loaded


def _arguments(config: TuneConfig, objective: TextOverlap, folder: Path) -> TrainingArguments:
    on_cpu = next(objective.parameters()).device.type == "cpu" and not under_fsdp()
    args = _Arguments(
        output_dir=str(folder),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.lr,
        lr_scheduler_type=config.lr_schedule,
        max_grad_norm=config.max_grad_norm,
        train_sampling_strategy="sequential",  # the schedule is shuffled
        seed=config.seed,
        use_cpu=on_cpu,
        bf16=config.dtype == "bfloat16",
        save_strategy="steps" if config.save_every else "no",
        save_steps=config.save_every or 1,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=False,
    )
    args._n_gpu = min(args.n_gpu, 1)  # one process, one device
    return args
