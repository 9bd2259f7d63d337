"""Fetched datasets of color images and letters, in small: real files of their formats, compared with torchvision."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from worker.spec.datasets.cifar10 import CIFAR10
from worker.spec.datasets.cifar100 import CIFAR100, COARSE, FINE
from worker.spec.datasets.emnist import CLASSES, EMNIST, ROWS
from worker.spec.datasets.mnist import MNIST
from worker.spec.datasets.svhn import SVHN
from worker.spec.families.dataset import Arrays
from worker.spec.fetched import Fetched

RANDOM = np.random.default_rng(0)
TRAIN, TEST = 20, 8
Array = np.ndarray[Any, Any]
Publish = Callable[..., Path]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publish]:
    """Serve files as the only mirror of a dataset, and return the folder for what is fetched."""
    served = tmp_path / "served"
    served.mkdir()
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("FITWELL_MIRROR", f"http://127.0.0.1:{server.server_port}")

        def published(part: type[Fetched], files: dict[str, bytes]) -> Path:
            (served / part.name()).mkdir()
            for name, content in files.items():
                (served / part.name() / name).write_bytes(content)
            digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
            assert digests.keys() == part.files.keys()
            monkeypatch.setattr(part, "files", digests)
            monkeypatch.setattr(part, "mirrors", ())
            assert "fitwell data fetch" in (part.missing(tmp_path) or "")
            part.fetch(tmp_path)
            assert part.missing(tmp_path) is None
            return tmp_path

        yield published
        server.shutdown()


def tar_gz(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def photos(rows: int) -> Array:
    return RANDOM.integers(0, 256, (rows, 3, 32, 32), np.uint8)


def records(x: Array, *labels: Array) -> bytes:
    """The binary version of CIFAR."""
    columns = [label.astype(np.uint8)[:, None] for label in labels]
    return np.concatenate([*columns, x.reshape(len(x), -1)], 1).tobytes()


def assert_equal(data: Arrays, part: str, theirs: Any) -> None:
    """Compare with a dataset of torchvision in color, (N, 32, 32, 3), or of MNIST's kind."""
    x, y = (data.train_x, data.train_y) if part == "train" else (data.test_x, data.test_y)
    assert (x.dtype, y.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(x, np.moveaxis(np.asarray(theirs.data), 3, 1))
    np.testing.assert_array_equal(y, theirs.targets)


@pytest.mark.slow  # torchvision takes seconds to import
@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_equals_torchvisions_reading_of_the_python_version(
    classes: int, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets

    part, theirs = (CIFAR10, datasets.CIFAR10) if classes == 10 else (CIFAR100, datasets.CIFAR100)
    binary, batches = {}, {}
    names = [name.rpartition("/")[2].removesuffix(".bin") for group in part.members for name in group]
    for member, name in zip([name for group in part.members for name in group], names, strict=True):
        x, fine, coarse = photos(TRAIN), RANDOM.integers(0, classes, TRAIN), RANDOM.integers(0, 20, TRAIN)
        binary[member] = records(x, fine) if classes == 10 else records(x, coarse, fine)
        key = "labels" if classes == 10 else "fine_labels"
        batches[name] = pickle.dumps({"data": x.reshape(TRAIN, -1), key: fine.tolist()})
    home = publish(part, {next(iter(part.files)): tar_gz(binary)})
    folder = home / theirs.base_folder
    folder.mkdir()
    meta_key = theirs.meta["key"]
    batches[theirs.meta["filename"]] = pickle.dumps({meta_key: [str(i) for i in range(classes)]})
    for name, content in batches.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(theirs, "_check_integrity", lambda _: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    data = part().load(home)
    assert_equal(data, "train", theirs(home, train=True))
    assert_equal(data, "test", theirs(home, train=False))


def test_cifar100_has_superclasses_on_request(publish: Publish) -> None:
    fine, coarse = RANDOM.integers(0, 100, TRAIN), RANDOM.integers(0, 20, TRAIN)
    content = records(photos(TRAIN), coarse, fine)
    archive = tar_gz({name: content for (name,) in CIFAR100.members})
    home = publish(CIFAR100, {"cifar-100-binary.tar.gz": archive})
    np.testing.assert_array_equal(CIFAR100().load(home).train_y, fine)
    superclasses = CIFAR100(labels="coarse")
    np.testing.assert_array_equal(superclasses.load(home).test_y, coarse)
    assert (CIFAR100().classes, superclasses.classes, superclasses.outputs) == (FINE, COARSE, 20)
    assert (len(set(FINE)), len(set(COARSE))) == (100, 20)


@pytest.mark.slow
def test_svhn_equals_torchvisions_reading(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    files = {}
    for name, rows in (("train_32x32.mat", TRAIN), ("test_32x32.mat", TEST)):
        content = io.BytesIO()
        labels = np.arange(rows, dtype=np.uint8)[:, None] % 10 + 1
        savemat(content, {"X": photos(rows).transpose(2, 3, 1, 0), "y": labels}, do_compression=True)
        files[name] = content.getvalue()
    home = publish(SVHN, files)
    data = SVHN.load(home)
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda _: True)
    for split, x, y in (("train", data.train_x, data.train_y), ("test", data.test_x, data.test_y)):
        theirs = datasets.SVHN(home / "svhn", split=split)
        np.testing.assert_array_equal(x, theirs.data)
        np.testing.assert_array_equal(y, theirs.labels)
    assert set(data.train_y) == set(range(10))


def idx(values: Array) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()


@pytest.mark.slow
def test_emnist_equals_torchvisions_reading_upright(publish: Publish) -> None:
    from torchvision import datasets

    content = io.BytesIO()
    raw: dict[str, bytes] = {}
    for split, classes in CLASSES.items():
        first = int(split == "letters")
        for part, rows in (("train", TRAIN), ("test", TEST)):
            name = f"emnist-{split}-{part}"
            raw[f"{name}-images-idx3-ubyte"] = idx(RANDOM.integers(0, 256, (rows, 28, 28)))
            raw[f"{name}-labels-idx1-ubyte"] = idx(RANDOM.integers(first, len(classes) + first, rows))
    with zipfile.ZipFile(content, "w") as archive:
        for name, values in raw.items():
            archive.writestr(f"gzip/{name}.gz", gzip.compress(values))
    home = publish(EMNIST, {"gzip.zip": content.getvalue()})
    folder = home / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, values in raw.items():
        (folder / name).write_bytes(values)
    for split in CLASSES:
        emnist = EMNIST.model_validate({"split": split})
        data, theirs = emnist.load(home), datasets.EMNIST(home, split)
        np.testing.assert_array_equal(data.train_x, theirs.data.numpy().transpose(0, 2, 1))
        first = int(split == "letters")
        np.testing.assert_array_equal(data.train_y, theirs.targets.numpy() - first)
        assert emnist.classes == tuple(name.lower() if first else name for name in theirs.classes[first:])
        assert (len(data.test_x), emnist.rows, emnist.outputs) == (TEST, ROWS[split], len(CLASSES[split]))


def test_altered_archive_is_neither_fetched_nor_read(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    content = records(photos(TRAIN), np.zeros(TRAIN))
    members = {name: content for group in CIFAR10.members for name in group}
    home = publish(CIFAR10, {"cifar-10-binary.tar.gz": tar_gz(members)})
    archive = home / "cifar10" / "cifar-10-binary.tar.gz"
    assert len(CIFAR10.load(home).train_x) == 5 * TRAIN
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(FileNotFoundError, match="SHA-256 differs"):
        CIFAR10.load(home)
    archive.unlink()
    monkeypatch.setattr(CIFAR10, "files", {"cifar-10-binary.tar.gz": "0" * 64})
    with pytest.raises(ConnectionError, match="SHA-256 differs"):
        CIFAR10.fetch(home)
    assert list((home / "cifar10").iterdir()) == []


def test_plain_files_of_mnist_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MNIST.digest() == "sha256:4f0b1b7e031471a2e6b7ff1eb267f86acbf9a397723b387b0000df8c8fcc9f59"
    assert list(MNIST.plain) == [name.removesuffix(".gz") for name in MNIST.files]
    folder = tmp_path / "mnist"
    folder.mkdir()
    digests = {}
    for name in MNIST.plain:
        rows = TRAIN if name.startswith("train") else TEST
        content = idx(RANDOM.integers(0, 10, (rows, 28, 28) if "images" in name else rows))
        (folder / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    with pytest.raises(FileNotFoundError, match="SHA-256 differs"):
        MNIST.load(tmp_path)
    monkeypatch.setattr(MNIST, "plain", digests)
    plain = MNIST.load(tmp_path)
    assert (plain.train_x.shape, plain.test_y.shape) == ((TRAIN, 28, 28), (TEST,))
    for name in digests:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), 1))
        (folder / name).unlink()
    np.testing.assert_array_equal(MNIST.load(tmp_path).train_x, plain.train_x)
