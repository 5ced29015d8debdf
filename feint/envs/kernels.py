"""The `kernel` decorator: numba compilation with a disk cache that cannot go stale.

Numba's own cache looks only at the file in which a function is defined, so an edit of a helper in
another file leaves an old kernel in use. Here the cache folder's name is a hash of all sources that
kernels can call, and of the versions that compile them.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config as _config

config: Any = _config  # its settings are made at import, which type checkers cannot see


@cache
def _digest(folder: Path) -> str:
    """Hash of every source below `feint/envs` and `folder`, with the compilers' versions."""
    own = Path(__file__).parent
    files = sorted({*own.rglob("*.py"), *folder.glob("*.py")})
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _cache_root() -> Path:
    """The first folder of these that can be written: $FEINT_CACHE_DIR, ~/.cache/feint, temp."""
    chosen = os.environ.get("FEINT_CACHE_DIR")
    wanted = Path(chosen) if chosen else Path.home() / ".cache" / "feint"
    for root in (wanted, Path(tempfile.gettempdir()) / "feint-cache"):
        try:
            (root / "kernels").mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(root / "kernels", os.W_OK):
            return root / "kernels"
    return Path(tempfile.mkdtemp(prefix="feint-kernels-"))


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` with numba: nogil, no Python objects, cached on disk.

    Floating point stays strict (no `fastmath`), so that a game computes the same bits alone and in
    a batch of any size.
    """
    folder = Path(function.__code__.co_filename).resolve().parent
    saved = config.CACHE_DIR
    # The dispatcher settles on its cache folder when it is made: the setting can go back at once.
    config.CACHE_DIR = str(_cache_root() / _digest(folder))
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = saved
