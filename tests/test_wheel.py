"""What `python -m build` would publish: installed alone, it is whole and keeps the contract."""

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("feint", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md",
           "CITATION.cff", "constraints.txt")  # fmt: skip

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source archive. It is made in a copy: a checkout's *.egg-info lists files of
    earlier builds, and setuptools would take them in."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy)
    code = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
    run(sys.executable, "-c", code, cwd=copy)
    (archive,) = (copy / "dist").iterdir()
    with tarfile.open(archive) as tar:
        tar.extractall(copy / "unpacked", filter="data")
    (folder,) = (copy / "unpacked").iterdir()
    return folder


@pytest.fixture(scope="module")
def site(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of that archive and nothing else; the rest is the developers'."""
    target = tmp_path_factory.mktemp("site")
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--quiet")
    pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
    run(*pip, *alone, "--target", str(target), str(source), cwd=source)
    return target


def files(package: Path) -> set[str]:
    found = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_source_archive_has_the_package_and_no_tests(source: Path):
    assert all((source / name).exists() for name in SOURCES)
    assert not (source / "tests").exists()


def test_every_file_of_the_package_is_installed_and_no_other_name(site: Path):
    assert files(site / "feint") == files(ROOT / "feint")
    (installed,) = distributions(path=[str(site)])
    names = {Path(path).parts[0] for path in map(str, installed.files or [])}
    assert {name for name in names if not name.endswith(".dist-info")} - {".."} == {"feint"}
    assert installed.metadata["License-Expression"] == "MIT"


# All scenarios in one process: 90 CPU seconds, which a busy machine may stretch past 600.
@pytest.mark.timeout(2400)
def test_the_installed_package_passes_the_conformance_suite(site: Path, tmp_path: Path):
    env = {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    said = run(sys.executable, "-m", "feint.cli", "check", cwd=tmp_path, **env).splitlines()
    assert said[0].endswith(f" in {site / 'feint'}")
    assert said[-1] == "13 of 13 scenarios keep the contract"
