"""Where training logs go: CSV, TensorBoard, the terminal, and, if asked for, Weights & Biases."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger


def make_logger(
    csv: Path | None, tensorboard: Path | None, verbose: int, suffix: str = ""
) -> "Logger":
    """SB3's logger, writing `progress.csv` and TensorBoard events into these folders.

    Args:
        csv: folder of the CSV file; None for none.
        tensorboard: folder of the events; None for none.
        verbose: 1 or more prints tables.
        suffix: of the CSV file's name, so that a resumed run does not replace the earlier one.

    Raises:
        ValueError: if TensorBoard is wanted and not installed.
    """
    from stable_baselines3.common.logger import Logger, make_output_format

    formats = [make_output_format("csv", str(csv), suffix)] if csv else []
    if tensorboard is not None:
        if not has_tensorboard():
            raise ValueError('--tensorboard-log needs tensorboard: pip install "feint[track]"')
        formats.append(make_output_format("tensorboard", str(tensorboard)))
    if verbose:
        formats.append(make_output_format("stdout", "."))
    return Logger(None if csv is None else str(csv), formats)


def has_tensorboard() -> bool:
    """Whether events can be written."""
    return importlib.util.find_spec("tensorboard") is not None


@contextmanager
def tracked(on: bool, folder: Path, **settings: Any) -> Iterator[None]:
    """A Weights & Biases run around what is done inside, if `on`; it follows TensorBoard's events.

    Args:
        on: nothing is imported and nothing leaves this machine unless this is True.
        folder: for W&B's own files.
        settings: of `wandb.init`.

    Raises:
        ValueError: if wandb or tensorboard is not installed, or W&B refuses the run.
    """
    if not on:
        yield
        return
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError('--track needs wandb: pip install "feint[track]"') from error
    if not has_tensorboard():
        raise ValueError('--track needs tensorboard: pip install "feint[track]"')
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = wandb.init(dir=str(folder), sync_tensorboard=True, **settings)
    except Exception as error:  # wandb's errors have no common class
        reason = str(error).splitlines() or [type(error).__name__]
        raise ValueError(f"--track: W&B refused the run: {reason[0]}") from error
    code = 1
    try:
        yield
        code = 0
    finally:
        run.finish(exit_code=code)
