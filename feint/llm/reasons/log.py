"""A file of JSON lines that grows by one line for each thing done, and survives interruption."""

import json
import os
from pathlib import Path
from typing import Any


class Log:
    """Entries by their "id", in a file and in memory; an id is written once.

    A last line that an interruption cut off is dropped.

    Args:
        path: The file; made with its folder.

    Raises:
        ValueError: If the file cannot be read or written, or a line other than the last is corrupt.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.entries: dict[str, dict[str, Any]] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                with open(self.path, "r+b") as file:
                    file.truncate(len(whole))
            self._file = open(self.path, "ab")
        except OSError as error:
            raise ValueError(f"cannot write {self.path}: {error.strerror or error}") from error
        for number, line in enumerate(whole.splitlines()):
            try:
                entry = json.loads(line)
                self.entries[entry["id"]] = entry
            except (ValueError, KeyError, TypeError) as error:
                self._file.close()
                raise ValueError(
                    f"{self.path}, line {number + 1} is corrupt ({error}); remove the line to have "
                    "it done anew"
                ) from error

    def add(self, entry: dict[str, Any]) -> None:
        """Write an entry; it is on the disk when this returns.

        Raises:
            ValueError: If there is an entry of this id.
        """
        if entry["id"] in self.entries:
            raise ValueError(f"{self.path} has an entry {entry['id']!r} already")
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.entries[entry["id"]] = entry

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
