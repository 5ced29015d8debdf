"""Reading what a stranger sent: sizes, depths and names are bounded, and nothing is executed.

Every refusal is a ValueError of one line that names the file and what is wrong with it.
"""

import json
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

#: Bytes of a JSON file, and of a checkpoint.
MOST_JSON, MOST_MODEL = 4 << 20, 256 << 20
#: Nested tables and lists; letters of one string; digits and size of a number.
MOST_DEPTH, MOST_TEXT, MOST_DIGITS, MOST = 16, 10_000, 25, 1e15
#: Bytes of the header of a safetensors file, and tensors in it.
MOST_HEADER, MOST_TENSORS = 1 << 20, 10_000

_WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
           "U8": 1, "BOOL": 1}  # fmt: skip
#: Not blocking, so that a pipe cannot hold us up before it is seen to be one; where there is such.
_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_EXECUTABLE = {b"PK": "a zip archive, as torch and SB3 write them", b"\x80": "a pickle"}


def read_bytes(path: str | Path, most: int) -> bytes:
    """The content of a regular file, no link, of at most `most` bytes.

    Raises:
        ValueError: for anything else.
    """
    path = Path(path)
    if path.is_symlink():
        raise ValueError(f"{path} is a symbolic link; send the file itself")
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path} is no regular file")
        if found.st_size > most:
            raise ValueError(f"{path} has {found.st_size:,} bytes; at most {most:,} are taken")
        return file.read(most + 1)[:most]


def read_json(path: str | Path) -> Any:
    """What a JSON file holds, if it is small, shallow and finite, with no key twice.

    Raises:
        ValueError: if not.
    """
    return parse_json(read_bytes(path, MOST_JSON), str(path))


def parse_json(text: bytes | str, name: str) -> Any:
    """As `read_json`, of a text; `name` is what errors call it."""

    def refuse(value: str) -> NoReturn:
        raise ValueError(f"it holds {value}, which is no number")

    def real(digits: str) -> float:
        value = float(digits)
        if not abs(value) <= MOST:
            raise ValueError(f"it holds the number {digits[:20]}; at most {MOST:g} are taken")
        return value

    def whole(digits: str) -> int:
        if len(digits) > MOST_DIGITS:
            raise ValueError(f"it holds a number of {len(digits)} digits")
        value = int(digits)
        real(digits)
        return value

    try:
        found = json.loads(
            text, parse_constant=refuse, parse_float=real, parse_int=whole,
            object_pairs_hook=_table,
        )  # fmt: skip
        _check_depth(found)
    except RecursionError:
        raise ValueError(f"{name} cannot be taken: {_TOO_DEEP}") from None
    except ValueError as error:  # not JSON, not UTF-8, or refused above
        raise ValueError(f"{name} cannot be taken: {error}") from error
    return found


_TOO_DEEP = f"it is nested more than {MOST_DEPTH} deep"


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"it has the key {twice[:60]!r} twice")
    return found


def _check_depth(found: Any) -> None:
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(_TOO_DEEP)
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.keys()
                inner += item.values()
            elif isinstance(item, list):
                inner += item
            elif isinstance(item, str) and len(item) > MOST_TEXT:
                raise ValueError(f"it holds a text of {len(item):,} letters")
        level = inner


def inside(root: Path, relative: str) -> Path:
    """A path below `root`, from a name that a stranger chose; no link on the way.

    Raises:
        ValueError: if it leads elsewhere.
    """
    parts = relative.split("/")
    if not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f"{relative[:100]!r} is no plain path inside the submission")
    path = root
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise ValueError(f"{path} is a symbolic link; send the file itself")
    return path


def plain_text(text: Any, what: str, most: int) -> str:
    """A line of printable text.

    Raises:
        ValueError: if it is none, is empty, or has more than `most` letters.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{what} must be a text of 1 to {most} letters")
    if len(text) > most:
        raise ValueError(f"{what} has {len(text)} letters; at most {most} are taken")
    if not text.isprintable():  # also refuses what turns the direction of writing round
        raise ValueError(f"{what} holds a letter that cannot be printed: {text!a}")
    return text.strip()


@dataclass(frozen=True)
class Header:
    """What a safetensors file says of itself.

    Attributes:
        about: its description.
        tensors: by name, their "dtype", "shape" and "data_offsets".
        length: bytes of the header; the tensors' begin 8 later.
    """

    about: dict[str, str]
    tensors: dict[str, dict[str, Any]]
    length: int


def safetensors_header(path: str | Path, data: bytes | None = None) -> Header:
    """The header of a safetensors file, if it fits the content.

    The library reads them safely as well; this asks first, so that nothing is allocated by what a
    header merely says.

    Args:
        path: of the file.
        data: its content; read if not given.

    Raises:
        ValueError: for any other file.
    """
    path = Path(path)
    data = read_bytes(path, MOST_MODEL) if data is None else data
    length = int.from_bytes(data[:8], "little")
    if data[8:9] != b"{" or length > len(data) - 8:
        for start, what in _EXECUTABLE.items():  # a length may begin like these, too
            if data.startswith(start):
                raise ValueError(
                    f"{path} is {what}: loading it could run code; send the safetensors file that "
                    "the run left"
                )
        raise ValueError(f"{path} is no whole safetensors file")
    if length > MOST_HEADER:
        raise ValueError(f"{path} has a header of {length:,} bytes; at most {MOST_HEADER:,}")
    header = parse_json(data[8 : 8 + length], f"the header of {path}")
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise ValueError(f"{path} has a header that is no table of tensors")
    about = header.pop("__metadata__", {})
    spans = sorted(_span(path, name, entry) for name, entry in header.items())
    ends = [0, *(end for _, end in spans)]
    if any(begin != end for (begin, _), end in zip(spans, ends, strict=False)):
        raise ValueError(f"{path} has tensors that overlap or leave holes")
    if ends[-1] != len(data) - 8 - length:
        raise ValueError(f"{path} has {len(data):,} bytes, which is not what its header says")
    return Header(about if isinstance(about, dict) else {}, header, length)


def _span(path: Path, name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor lies, if its shape says the same."""
    try:
        (begin, end), shape, width = entry["data_offsets"], entry["shape"], _WIDTHS[entry["dtype"]]
        whole = [begin, end, *shape]
        good = all(isinstance(x, int) and x >= 0 for x in whole)
        if good and math.prod(shape) * width == end - begin:
            return begin, end
    except (TypeError, ValueError, KeyError):
        pass
    raise ValueError(f"{path} has a damaged entry for the tensor {name[:60]!r}")
