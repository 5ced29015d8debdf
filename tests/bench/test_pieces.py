"""Folders that travel in pieces."""

from pathlib import Path

import pytest

from feint.bench import pieces as module
from feint.bench.pieces import Piece, pieces


def test_a_folder_arrives_as_it_was(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "SIZE", 4)
    sent = tmp_path / "sent"
    (sent / "deep/empty").mkdir(parents=True)
    for name, data in {"a": b"", "b": b"1234", "deep/c": bytes(range(11))}.items():
        (sent / name).write_bytes(data)
    parts = list(pieces(sent))
    assert max(len(part.data or b"") for part in parts) == 4
    for part in parts:
        part.put_down(tmp_path / "arrived")

    def content(folder: Path) -> dict[str, bytes | None]:
        found = folder.rglob("*")
        return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in found}

    assert content(tmp_path / "arrived") == content(sent) and len(content(sent)) == 5


def test_an_empty_folder_arrives(tmp_path: Path):
    (tmp_path / "sent").mkdir()
    for part in pieces(tmp_path / "sent"):
        part.put_down(tmp_path / "arrived")
    assert (tmp_path / "arrived").is_dir()


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out"])
def test_no_piece_leaves_its_folder(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="leads out of its folder"):
        Piece(name, b"x").put_down(tmp_path / "arrived")
    assert not (tmp_path / "arrived").exists()
