"""Ray itself, and the addresses of its clusters; errors say in a line what to do."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any


def ray_module() -> Any:
    """The module, which is heavy and may not be there.

    Raises:
        ValueError: if it is not.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ValueError(
            "Ray is not installed; `pip install 'feint[ray]'`, or leave out --ray"
        ) from error
    return ray


def is_stale(temporary: Path) -> bool:
    """Whether Ray remembers a cluster on this machine that is no more; it would wait for it."""
    with suppress(OSError):
        address = (temporary / "ray/ray_current_cluster").read_text().strip()
        try:
            check_address(address)
        except ValueError:
            return True
    return False


def check_address(address: str) -> None:
    """Find out within seconds, where Ray would take a minute and say it at length.

    Raises:
        ValueError: if nothing answers there, or it is no address.
    """
    if address in ("auto", "local"):
        return
    if "://" in address:
        raise ValueError(
            f"got the Ray address {address!r}; run this on a machine of the cluster, with the "
            "head's host:port or with auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"got the Ray address {address!r}; takes host:port, or auto")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"no Ray cluster answers at {address} ({error}); is its head running there "
            f"(ray start --head --port={port})?"
        ) from error
