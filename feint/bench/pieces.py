"""A folder on its way to another disk, in pieces of a bounded size."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SIZE = 16 * 2**20  #: bytes of the largest piece


@dataclass(frozen=True)
class Piece:
    """The next bytes of a file, or a folder.

    Attributes:
        name: path within the folder that is sent, with slashes.
        data: what comes at the end of the file; None for a folder.
    """

    name: str
    data: bytes | None

    def put_down(self, folder: Path) -> None:
        """Add it to what has arrived in `folder`, which is made.

        Raises:
            ValueError: if its name leads out of the folder.
        """
        name = PurePosixPath(self.name)
        if name.is_absolute() or ".." in name.parts:
            raise ValueError(f"a piece is named {self.name!r}, which leads out of its folder")
        path = folder / name
        if self.data is None:
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.write(self.data)


def pieces(folder: Path) -> Iterator[Piece]:
    """All that is in a folder, in an order that `put_down` can follow."""
    yield Piece(".", None)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            yield Piece(name, None)
            continue
        with open(path, "rb") as file:
            yield Piece(name, file.read(SIZE))
            while data := file.read(SIZE):
                yield Piece(name, data)
