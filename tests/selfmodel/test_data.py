"""Data sets from files in their standard formats, and what is said when they are missing."""

import gzip
import sys
import types

import numpy as np
import pytest
import torch

from feint.selfmodel import data as sets
from feint.selfmodel.data import Texts, by_frequency, load, read_idx, tokens


def idx(array):
    head = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    luck = np.random.default_rng(0)
    for part, n in (("train", 6), ("t10k", 4)):
        images = luck.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = luck.integers(0, 10, n, dtype=np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        packed = gzip.compress(idx(labels))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(packed)
    return tmp_path


def test_the_digits_are_always_there():
    pytest.importorskip("sklearn")
    data = load("digits")
    assert data.x.shape == (1437, 64) and data.test_x.shape == (360, 64)
    assert data.x.min() == -1 and data.x.max() == 1 and data.classes == 10
    assert torch.equal(load("digits").x, data.x)


def test_idx_files_are_read_packed_or_not(mnist):
    data = load("mnist", mnist)
    assert data.x.shape == (6, 28, 28) and data.test_y.shape == (4,)
    raw = read_idx(mnist / "train-images-idx3-ubyte")
    torch.testing.assert_close(data.x, torch.from_numpy(raw / np.float32(127.5) - 1))
    dark = load("fashion-mnist-dark", mnist)
    torch.testing.assert_close(dark.x, torch.from_numpy(2 * (raw / np.float32(255)) ** 3 - 1))


def test_damaged_idx_files_are_refused(mnist):
    path = mnist / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is not a whole IDX file"):
        load("mnist", mnist)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is not a whole IDX file"):
        load("mnist", mnist)
    path.unlink()
    with pytest.raises(ValueError, match="name the folder of the four IDX files"):
        load("mnist", mnist)
    (mnist / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="cannot read"):
        load("mnist", mnist)


def test_cifar_is_read_from_its_binary_version_alone(tmp_path):
    luck = np.random.default_rng(0)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        rows = luck.integers(0, 10, (2, 3073), dtype=np.uint8)
        (tmp_path / f"{name}.bin").write_bytes(rows.tobytes())
    data = load("cifar10", tmp_path)
    assert data.x.shape == (10, 3, 32, 32) and data.test_x.shape == (2, 3, 32, 32)
    assert int(data.test_y[1]) == rows[1, 0]
    assert float(data.test_x[1, 2, 31, 31]) == pytest.approx(rows[1, -1] / 127.5 - 1)
    (tmp_path / "data_batch_3.bin").rename(tmp_path / "data_batch_3")
    with pytest.raises(ValueError, match="are pickles, which are not read"):
        load("cifar10", tmp_path)


def test_imdb_is_read_from_its_folder_of_texts(tmp_path):
    for part, name, text in (
        ("train", "neg", "Bad, bad film!<br />No."),
        ("train", "pos", "A good film."),
        ("test", "neg", "Unheard of."),
        ("test", "pos", "good"),
    ):
        folder = tmp_path / part / name
        folder.mkdir(parents=True)
        (folder / "0_1.txt").write_text(text)
    data = load("imdb", tmp_path)
    order = [".", "bad", "film", "!", ",", "a", "good", "no"]
    number = {word: k for k, word in enumerate(order, start=2)}
    assert data.x.rows[0].tolist() == [
        number[w] for w in ("bad", ",", "bad", "film", "!", "no", ".")
    ]
    assert data.test_x.rows[0].tolist() == [1, 1, number["."]], "unknown words are 1"
    assert data.y.tolist() == [0, 1] and data.words == len(order) + 2
    (tmp_path / "test" / "pos" / "0_1.txt").unlink()
    with pytest.raises(ValueError, match=r"no texts in .*pos"):
        load("imdb", tmp_path)


def test_words_are_those_of_basic_english():
    text = 'It\'s "great"; a (real) gem: see it!<br />Why?  Yes, you.'
    assert " ".join(tokens(text)) == "it ' s great a ( real ) gem see it ! why ? yes , you ."
    assert by_frequency([["b", "a"], ["c", "b"]]) == ["b", "a", "c"]


def test_texts_are_filled_up():
    texts = Texts([torch.tensor([5]), torch.tensor([6, 7, 8]), torch.tensor([9, 9])])
    assert texts[torch.tensor([0, 2])].tolist() == [[5, 0], [9, 9]]
    assert texts[1:].tolist() == [[6, 7, 8], [9, 9, 0]] and len(texts) == 3


@pytest.mark.parametrize("name", ["mnist", "cifar10", "imdb"])
def test_a_missing_data_set_says_how_to_get_it(name, monkeypatch):
    monkeypatch.setattr(sets, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"name its folder with --data-dir .*pip install"
    ) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_digits_without_scikit_learn_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sets, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install"):
        load("digits")


def test_hugging_face_data_sets_become_the_same_arrays(monkeypatch):
    def load_dataset(name, split):
        n = 3 if split == "train" else 2
        if name == "uoft-cs/cifar10":
            return {"img": [np.full((32, 32, 3), 255, np.uint8)] * n, "label": [4] * n}
        if name == "stanfordnlp/imdb":
            return {"text": ["good film"] * n, "label": [1] * n}
        raise ConnectionError("no\nnetwork")

    fake = types.ModuleType("datasets")
    setattr(fake, "load_dataset", load_dataset)  # noqa: B010 - a module has no such attribute
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setattr(sets, "find_spec", lambda name: fake)
    cifar, imdb = load("cifar10"), load("imdb")
    assert cifar.x.shape == (3, 3, 32, 32) and bool((cifar.x == 1).all())
    assert imdb.x.rows[0].tolist() == [3, 2] and imdb.test_y.tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"gave no ylecun/mnist \(no network\)"):
        load("mnist")


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="unknown data set 'nope'; there are: digits"):
        load("nope")
