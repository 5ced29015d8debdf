"""The data sets, from local files in their standard formats or through Hugging Face `datasets`.

Nothing is unpickled: CIFAR-10 is read from its binary version.
"""

import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feint.selfmodel.nets import PADDING


@dataclass
class Data:
    """A classification task in memory.

    Attributes:
        x: (n, ...) float, training inputs, or `Texts`.
        y: (n,) int64, training labels.
        test_x: test inputs.
        test_y: test labels.
        classes: number of labels.
        words: size of the vocabulary, of texts.
    """

    x: Any
    y: Tensor
    test_x: Any
    test_y: Tensor
    classes: int
    words: int = 0


class Texts:
    """Texts as word indices; indexed with a tensor, a batch that is filled up with `PADDING`.

    Args:
        rows: (length,) int64 each.
    """

    def __init__(self, rows: Sequence[Tensor]):
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        which = range(len(self))[index] if isinstance(index, slice) else index.tolist()
        chosen = [self.rows[i] for i in which]
        return torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=PADDING)


def load(name: str, folder: Path | None = None) -> Data:
    """A data set by name.

    Args:
        name: see `DATASETS`.
        folder: where its files are; by default where Debian puts them, and else through Hugging
            Face `datasets`, if that is installed.

    Raises:
        ValueError: for an unknown name, and for files that are missing or damaged, in one line
            that says how to get them.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; there are: {', '.join(DATASETS)}")
    return DATASETS[name](folder)


# -- images ---------------------------------------------------------------------------------------


def _digits(folder: Path | None) -> Data:
    """scikit-learn's 8x8 digits, which come with it: 1,437 to train and 360 to test."""
    if find_spec("sklearn") is None:
        raise ValueError("the digits come with scikit-learn: pip install 'feint[selfmodel]'")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, y = (np.asarray(part) for part in load_digits(return_X_y=True))
    x, test_x, y, test_y = train_test_split(
        np.float32(pixels / 8 - 1), y, test_size=360, stratify=y, random_state=0
    )
    return Data(*(torch.from_numpy(a) for a in (x, y, test_x, test_y)), classes=10)


_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def _mnist(folder: Path | None) -> Data:
    """MNIST, pixels in [-1, 1]."""
    if folder is None:
        return _hub("ylecun/mnist", "image", "the four IDX files of MNIST (*-ubyte or *-ubyte.gz)")
    return _idx(folder)


def _fashion(folder: Path | None) -> Data:
    """Fashion-MNIST, pixels in [-1, 1]."""
    if folder is None and not _DEBIAN.is_dir():
        how = (
            "Fashion-MNIST's four IDX files (Debian and Ubuntu: apt install dataset-fashion-mnist)"
        )
        return _hub("zalando-datasets/fashion_mnist", "image", how)
    return _idx(folder or _DEBIAN)


def _dark(folder: Path | None) -> Data:
    """Fashion-MNIST with pixels cubed, as dark as MNIST: there, small nets collapse."""
    data = _fashion(folder)
    data.x, data.test_x = (2 * ((x + 1) / 2) ** 3 - 1 for x in (data.x, data.test_x))
    return data


def _idx(folder: Path) -> Data:
    x, y, test_x, test_y = (read_idx(folder / name) for name in _IDX)
    for images, labels in ((x, y), (test_x, test_y)):
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(f"{folder} holds {images.shape} images for {labels.shape} labels")
    return _images(x, y, test_x, test_y)


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of unsigned bytes, as it is or with `.gz`.

    Raises:
        ValueError: if it is missing or damaged.
    """
    packed = path.with_name(path.name + ".gz")
    if not path.exists() and not packed.exists():
        raise ValueError(f"there is no {path} (or .gz); name the folder of the four IDX files")
    try:
        data = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    except (OSError, EOFError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    dims = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
    shape = np.frombuffer(data[4 : 4 + 4 * dims], ">u4").astype(int)
    body = np.frombuffer(data, np.uint8)[4 + 4 * dims :]
    if not dims or len(shape) != dims or body.size != shape.prod():
        raise ValueError(f"{path} is not a whole IDX file of bytes")
    return body.reshape(shape)


def _cifar(folder: Path | None) -> Data:
    """CIFAR-10, pixels in [-1, 1], (n, 3, 32, 32)."""
    how = "the .bin files of cifar-10-binary.tar.gz (https://www.cs.toronto.edu/~kriz/cifar.html)"
    if folder is None:
        return _hub("uoft-cs/cifar10", "img", how)
    train = [folder / f"data_batch_{k}.bin" for k in range(1, 6)]
    parts = []
    for path in (*train, folder / "test_batch.bin"):
        if not path.exists():
            pickled = path.with_suffix("").exists()
            why = "its files without .bin are pickles, which are not read; " if pickled else ""
            raise ValueError(f"there is no {path}; {why}--data-dir takes {how}")
        raw = np.frombuffer(path.read_bytes(), np.uint8)
        if raw.size == 0 or raw.size % 3073:
            raise ValueError(f"{path} is not a whole CIFAR-10 file: {raw.size} bytes")
        parts.append(raw.reshape(-1, 3073))
    whole, test = np.concatenate(parts[:-1]), parts[-1]
    x, test_x = (rows[:, 1:].reshape(-1, 3, 32, 32) for rows in (whole, test))
    return _images(x, whole[:, 0], test_x, test[:, 0])


def _images(x: Any, y: Any, test_x: Any, test_y: Any) -> Data:
    pixels = [torch.from_numpy(np.float32(a) / 127.5 - 1) for a in (x, test_x)]
    labels = [torch.from_numpy(np.asarray(a).astype(np.int64)) for a in (y, test_y)]
    return Data(pixels[0], labels[0], pixels[1], labels[1], classes=10)


# -- texts ----------------------------------------------------------------------------------------


def _imdb(folder: Path | None) -> Data:
    """IMDB's reviews as words: 25,000 to train and 25,000 to test; 1 is a good review."""
    how = "the folder aclImdb of aclImdb_v1.tar.gz (https://ai.stanford.edu/~amaas/data/sentiment)"
    if folder is None:
        return _hub("stanfordnlp/imdb", "text", how)
    sets = []
    for part in ("train", "test"):
        texts, labels = [], []
        for label, name in enumerate(("neg", "pos")):
            files = sorted((folder / part / name).glob("*.txt"))
            if not files:
                raise ValueError(f"no texts in {folder / part / name}; --data-dir takes {how}")
            texts += [path.read_text(encoding="utf-8", errors="replace") for path in files]
            labels += [label] * len(files)
        sets += [texts, labels]
    return _texts(*sets)


def _texts(texts: Sequence[str], y: Any, test_texts: Sequence[str], test_y: Any) -> Data:
    words = [tokens(text) for text in texts]
    vocabulary = {word: k for k, word in enumerate(by_frequency(words), start=PADDING + 2)}
    unknown = PADDING + 1

    def rows(lists: Iterable[list[str]]) -> Texts:
        return Texts([
            torch.tensor([vocabulary.get(word, unknown) for word in words] or [unknown])
            for words in lists
        ])  # fmt: skip

    return Data(
        rows(words),
        torch.as_tensor(np.asarray(y, np.int64)),
        rows(tokens(text) for text in test_texts),
        torch.as_tensor(np.asarray(test_y, np.int64)),
        classes=2,
        words=len(vocabulary) + 2,
    )


def tokens(text: str) -> list[str]:
    """The words of a text: lower case, punctuation apart (torchtext's `basic_english`)."""
    text = re.sub(r"<br />|[;:]", " ", text.lower()).replace('"', "")
    return re.sub(r"(['.,()!?])", r" \1 ", text).split()


def by_frequency(texts: Iterable[Iterable[str]]) -> list[str]:
    """All words, the most frequent first, words of one frequency in alphabetical order."""
    counts = Counter(word for words in texts for word in words)
    return sorted(counts, key=lambda word: (-counts[word], word))


# -- Hugging Face ---------------------------------------------------------------------------------


def _hub(name: str, column: str, how: str) -> Data:
    """A data set of the hub, whose columns are `column` and label."""
    if find_spec("datasets") is None:
        raise ValueError(
            f"this data set is not here: name its folder with --data-dir ({how}), or "
            "pip install datasets to fetch it from Hugging Face"
        )
    from datasets import load_dataset  # pyright: ignore[reportMissingImports]

    try:
        parts = [load_dataset(name, split=split) for split in ("train", "test")]
    except Exception as error:  # it raises many kinds, for want of a network above all
        reason = " ".join(str(error).split())
        raise ValueError(
            f"Hugging Face gave no {name} ({reason}); name its folder with --data-dir ({how})"
        ) from error
    if column == "text":
        return _texts(parts[0]["text"], parts[0]["label"], parts[1]["text"], parts[1]["label"])
    pixels = [np.stack([np.asarray(image) for image in part[column]]) for part in parts]
    pixels = [p.transpose(0, 3, 1, 2) if p.ndim == 4 else p for p in pixels]
    return _images(pixels[0], parts[0]["label"], pixels[1], parts[1]["label"])


DATASETS: dict[str, Callable[[Path | None], Data]] = {
    "digits": _digits,
    "mnist": _mnist,
    "fashion-mnist": _fashion,
    "fashion-mnist-dark": _dark,
    "cifar10": _cifar,
    "imdb": _imdb,
}
