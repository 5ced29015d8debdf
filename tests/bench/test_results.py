"""Results of runs: what they hold, and what they refuse."""

import json
import math
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feint.bench import RunResult, results
from feint.files import sole_owner, write_atomically

from .jobs import tiny


def result(payload: Any) -> RunResult:
    spec = tiny().runs()[0]
    return RunResult.of(spec, payload, started="2026-01-01T00:00:00+00:00", wall_s=1.5, cpu_s=1.25)


def test_a_result_survives_its_file(tmp_path: Path):
    one = result({"rate": 0.1 + 0.2, "none": None, "counts": [1, 2], "nested": {"ok": True}})
    one.write(tmp_path / "new" / "result.json")
    assert RunResult.read(tmp_path / "new" / "result.json") == one
    data = json.loads((tmp_path / "new" / "result.json").read_text())
    assert data["schema"] == 2 and data["run"] == "hill/sly/seed0"
    assert data["versions"]["python"] and data["versions"]["numpy"] == np.__version__
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"curves": [{"loss": math.nan}]}, r"payload.curves\[0\].loss is nan; it must be finite"),
        ({"top": -math.inf}, r"payload.top is -inf"),
        ({"n": np.int64(3)}, r"payload.n is a numpy.int64, which JSON cannot hold.*tolist"),
        ({"a": {"b": np.zeros(2)}}, r"payload.a.b is a numpy.ndarray"),
        ({"a": {1: 2}}, r"payload.a has the key 1; keys must be strings"),
        ([1], r"must return a dict, got list"),
        (None, r"must return a dict, got NoneType"),
    ],
)
def test_what_json_cannot_hold_is_refused(payload: Any, message: str):
    with pytest.raises(ValueError, match=message) as caught:
        result(payload)
    assert "\n" not in str(caught.value)


def test_a_nan_that_got_into_the_file_is_refused(tmp_path: Path):
    path = tmp_path / "result.json"
    result({"rate": 0.5}).write(path)
    path.write_text(path.read_text().replace("0.5", "NaN"))
    with pytest.raises(ValueError, match=r"result.json: .*payload.rate is nan") as caught:
        RunResult.read(path)
    assert "\n" not in str(caught.value)


def test_damaged_files_are_named_in_one_line(tmp_path: Path):
    path = tmp_path / "result.json"

    def complaint(match: str) -> None:
        with pytest.raises(ValueError, match=match) as caught:
            RunResult.read(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)

    complaint("cannot read .*No such file")
    result({"x": 1}).write(path)
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    complaint("is not whole")
    path.write_bytes(b"\xff\xfe\x00")
    complaint("is not whole")
    path.write_text("[]")
    complaint("has result schema None; this version of Feint reads 2")
    path.write_text(whole.replace('"schema": 2', '"schema": 7'))
    complaint("has result schema 7")
    path.write_text(whole.replace('"seed": 0', '"seed": "zero"'))
    complaint("seed: got 'zero'")
    path.write_text(whole.replace('"arm"', '"leg"'))
    complaint("the key arm is missing")
    path.write_text(whole.replace('"wall_s": 1.5', '"wall_s": Infinity'))
    complaint("wall_s: got inf")


def test_the_commit_is_that_of_the_package_s_own_checkout(tmp_path: Path, monkeypatch):
    def git(*command: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *command], check=True)

    for package in (tmp_path / "feint", tmp_path / "site-packages/feint"):
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    monkeypatch.setattr("feint.__file__", str(tmp_path / "feint/__init__.py"))
    commit = results.commit.__wrapped__
    assert commit() is None
    git("init", "--quiet")
    assert commit() is None
    git("add", ".")
    git("commit", "--quiet", "-m", "first", "--no-gpg-sign")
    assert re.fullmatch("[0-9a-f]{40}", commit() or "")
    (tmp_path / "notes.txt").touch()
    assert re.fullmatch("[0-9a-f]{40}", commit() or "")
    (tmp_path / "feint/new.py").touch()
    assert re.fullmatch("[0-9a-f]{40}-dirty", commit() or "")
    monkeypatch.setattr("feint.__file__", str(tmp_path / "site-packages/feint/__init__.py"))
    assert commit() is None


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch):
    path = tmp_path / "file.txt"
    write_atomically(path, "old")
    with pytest.raises(ValueError, match=r"cannot write .*deeper: .*file.txt is not a folder"):
        write_atomically(path / "deeper", b"new")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"cannot write .*file.txt: No space left"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_files_get_the_usual_permissions(tmp_path: Path):
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "ours", "text")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path):
    with sole_owner(tmp_path / "out"):
        with pytest.raises(ValueError, match=rf"out is in use .*process {os.getpid()}\)"):
            with sole_owner(tmp_path / "out"):
                pass
    with sole_owner(tmp_path / "out"):
        pass
