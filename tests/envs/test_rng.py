"""The counter-based generator against its published vectors; the kernels' cache."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from feint.envs import kernels
from feint.envs.rng import philox, uniform4

ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)


@pytest.mark.parametrize(
    ("counter_and_key", "words"),
    [
        ((0, 0, 0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter_and_key, words):
    got = philox(*(np.uint64(word) for word in counter_and_key))
    assert [int(word) for word in got] == list(words)


def draws(seed: int = 1, episode: int = 2, step: int = 3, slot: int = 4) -> tuple[float, ...]:
    return uniform4(np.uint64(seed), episode, step, slot)


def test_a_draw_is_a_pure_function_of_all_four_of_its_arguments():
    first = draws()
    assert draws() == first
    others = [draws(seed=9), draws(seed=1 + 2**32), draws(episode=9), draws(episode=2 + 2**32)]
    others += [draws(step=9), draws(slot=9)]
    assert len({first, *others}) == 7


def test_draws_are_uniform_and_uncorrelated_between_neighbouring_seeds_and_slots():
    count = 20_000
    for axis in ("seed", "episode", "step", "slot"):
        sample = np.array([draws(**{axis: k}) for k in range(count)])
        assert (sample >= 0).all()
        assert (sample < 1).all()
        # Five standard errors of a uniform mean, of a decile's share, and of a correlation.
        np.testing.assert_allclose(sample.mean(axis=0), 0.5, atol=5 * 0.2887 / count**0.5)
        shares = np.histogram(sample, 10, (0, 1))[0] / sample.size
        np.testing.assert_allclose(shares, 0.1, atol=5 * 0.3 / sample.size**0.5)
        neighbours = np.corrcoef(np.hstack([sample[:-1], sample[1:]]).T)
        assert np.abs(neighbours - np.eye(8)).max() < 5 / count**0.5


def digest_of(name: str, file: Path) -> str:
    kernels._digest.cache_clear()
    kernels._imports.cache_clear()
    importlib.invalidate_caches()
    return kernels._digest(name, file)


def test_the_kernel_cache_moves_when_a_source_that_a_kernel_can_call_changes(tmp_path, monkeypatch):
    package = tmp_path / "third_party"
    package.mkdir()
    for name, source in {
        "__init__": "",
        "rules": "WEIGHT = 1.0\n",
        "helpers": "from . import rules\n",
        "game": "from feint.envs.kernels import kernel\nfrom third_party.helpers import rules\n",
        "picture": "import third_party.game\n",
    }.items():
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest() -> str:
        return digest_of("third_party.game", package / "game.py")

    before = digest()
    assert digest() == before
    (package / "picture.py").write_text("import third_party.game  # is not imported by it\n")
    assert digest() == before
    for name in ("rules", "helpers", "game"):
        (package / f"{name}.py").write_text((package / f"{name}.py").read_text() + "# edited\n")
        assert digest() != before, name
        before = digest()


def test_a_kernel_is_made_of_its_own_module_and_of_what_that_imports():
    file = Path(importlib.import_module("feint.envs.physical_deception.dynamics").__file__ or "")
    made_of = kernels._sources("feint.envs.physical_deception.dynamics", file, {})
    assert {
        "feint.envs.rng",
        "feint.envs.kernels",
        "feint.envs.physical_deception.rules",
        "feint.metrics.belief",
    } <= made_of.keys()
    assert "feint.envs.physical_deception.scenario" not in made_of


def test_the_kernel_cache_goes_where_it_is_told_and_never_fails_for_want_of_a_folder(
    tmp_path, monkeypatch
):
    def root() -> Path:
        kernels._cache_root.cache_clear()
        return kernels._cache_root()

    try:
        monkeypatch.setenv("FEINT_CACHE_DIR", str(tmp_path / "here"))
        assert root() == tmp_path / "here" / "kernels"
        assert root().is_dir()
        blocked = tmp_path / "a file"
        blocked.write_text("")
        monkeypatch.setenv("FEINT_CACHE_DIR", str(blocked))
        monkeypatch.setattr(kernels.tempfile, "gettempdir", lambda: str(tmp_path / "temp"))
        assert root() == tmp_path / "temp" / "feint-cache" / "kernels"
    finally:
        kernels._cache_root.cache_clear()
