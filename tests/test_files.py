"""Files are whole or not there, and errors name what the user named."""

import re

import pytest

from feint.files import check_writable, sole_owner, write_atomically


def test_writing_makes_the_folder_and_leaves_nothing_else(tmp_path):
    write_atomically(tmp_path / "a" / "b.txt", "text")
    assert (tmp_path / "a" / "b.txt").read_text() == "text"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_refused_file_is_named_as_the_user_named_it(tmp_path):
    (tmp_path / "file").write_text("kept")
    wanted = tmp_path / "file" / "out.json"
    for refused in (check_writable, lambda path: write_atomically(path, "text")):
        with pytest.raises(ValueError, match=f"^{re.escape(f'cannot write {wanted}: ')}") as error:
            refused(wanted)
        assert "is not a folder" in str(error.value)
    assert (tmp_path / "file").read_text() == "kept"


def test_checking_leaves_no_trace(tmp_path):
    check_writable(tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_one_owner_at_a_time(tmp_path):
    with sole_owner(tmp_path), pytest.raises(ValueError), sole_owner(tmp_path):
        pass
    with sole_owner(tmp_path):
        pass
