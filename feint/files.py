"""Files that are whole or not there, and folders that belong to one process at a time."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing stops two processes there
    fcntl = None


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write a file so that it is either whole or as it was before; its folder is made.

    Raises:
        ValueError: if it cannot be written, with the system's reason.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        _remove(temporary)


def check_writable(path: str | Path) -> None:
    """Find out before long work, not after it, whether `path` can be written.

    Raises:
        ValueError: if not, with the system's reason.
    """
    path = Path(path)
    probe = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_atomically(probe, b"")
    except ValueError as error:
        raise ValueError(str(error).replace(str(probe), str(path))) from error.__cause__
    _remove(probe)


def _refused(path: Path, error: OSError) -> ValueError:
    reason = error.strerror or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = f"{path.parent} is not a folder"
    return ValueError(f"cannot write {path}: {reason}")


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # it was renamed into place, or never made
        pass


@contextmanager
def sole_owner(folder: Path, among_others: bool = False) -> Iterator[None]:
    """Hold a folder, making it if need be; a lock dies with its process, however that ends.

    Args:
        folder: what to hold.
        among_others: hold it together with others who say so too, against a sole owner.

    Raises:
        ValueError: if another process holds it, or it cannot be written.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+")
    except OSError as error:
        raise _refused(path, error) from error
    with file:
        if fcntl is not None:
            try:
                how = fcntl.LOCK_SH if among_others else fcntl.LOCK_EX
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                owner = file.read().strip() or "unknown"
                raise ValueError(
                    f"{folder} is in use by another runner (process {owner}); "
                    "wait until it is done, or choose another folder"
                ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
