"""The `kernel` decorator: numba compilation with a disk cache that cannot go stale.

Numba's own cache looks only at the file in which a function is defined, so an edit of a helper in
another file leaves an old kernel in use. Here the cache folder's name is a hash of the source that
defines the kernel, of all that it imports from its own package and from Feint, directly or not, and
of the versions that compile them.
"""

import ast
import hashlib
import importlib.util
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
def _imports(name: str, file: Path) -> frozenset[str]:
    """Names of the modules, of its own package or of Feint, that a module's source imports."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(dots, package)
            found.add(base)  # of `from a import b`, either may be the module
            found.update(f"{base}.{alias.name}" for alias in node.names)
    roots = {name.partition(".")[0], "feint"}
    return frozenset(other for other in found if other.partition(".")[0] in roots)


def _sources(name: str, file: Path, seen: dict[str, Path]) -> dict[str, Path]:
    """Files of a module and of all that it imports, directly or not, by module name."""
    seen[name] = file
    for other in _imports(name, file) - seen.keys():
        try:
            spec = importlib.util.find_spec(other)
        except (ModuleNotFoundError, ValueError):  # `other` is a function or a constant
            continue
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            _sources(other, Path(spec.origin), seen)
    return seen


@cache
def _digest(name: str, file: Path) -> str:
    """Hash of every source that the kernels in a module may be made of, and the compilers'."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for other, source in sorted(_sources(name, file, {}).items()):
        digest.update(other.encode() + b"\0" + source.read_bytes())
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


def kernel(function: Callable[..., Any], forceinline: bool = False) -> Callable[..., Any]:
    """Compile `function` with numba: nogil, no Python objects, cached on disk.

    Floating point stays strict (no `fastmath`), so that a game computes the same bits alone and in
    a batch of any size.
    """
    source = Path(function.__code__.co_filename).resolve()
    saved = config.CACHE_DIR
    # The dispatcher settles on its cache folder when it is made: the setting can go back at once.
    config.CACHE_DIR = str(_cache_root() / _digest(function.__module__, source))
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=forceinline)(
            function
        )
    finally:
        config.CACHE_DIR = saved


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `kernel` that becomes part of each kernel that calls it, and knows what that one knows.

    What it is given costs nothing, and the sizes of arrays can be known when it is compiled.
    """
    return kernel(function, forceinline=True)
