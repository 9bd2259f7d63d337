"""Datasets against their sources; files that are missing, cut short or altered."""

from __future__ import annotations

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from worker.engine.data import Data
from worker.spec.datasets import KINDS
from worker.spec.datasets.digits import Digits
from worker.spec.datasets.fashion_mnist import FashionMNIST
from worker.spec.datasets.mnist import MNIST
from worker.spec.datasets.mnist1d import MNIST1D
from worker.spec.families.built_in import BuiltIn

HOME = Path("~/.local/share/fitwell/datasets").expanduser()
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


BUILT_IN = {kind: part for kind, part in KINDS.items() if issubclass(part, BuiltIn)}
FETCHED = {kind for kind, part in BUILT_IN.items() if part.missing(HOME) and getattr(part, "package", None) is None}
"""Not on this machine, and no package of the system brings them."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(BUILT_IN.keys() - FETCHED))
def test_dataset_has_its_declared_rows_shape_and_classes(kind: str) -> None:
    part = BUILT_IN[kind]
    if part.missing(HOME):
        pytest.skip(f"{kind} is not on this machine")
    data = part.load(HOME)
    assert (len(data.train_x), len(data.test_x)) == (len(data.train_y), len(data.test_y)) == part.rows
    assert data.train_x.shape[1:] == data.test_x.shape[1:] == part.shape
    assert set(data.train_y) == set(data.test_y) == set(range(len(part.classes)))
    assert part(kind=kind).rows_of_classes == tuple(np.bincount(data.train_y).tolist())
    if len(part.shape) > 1:
        assert data.train_x.dtype == np.uint8
        assert data.train_x.max() == part.white
    assert part.digest() == part.digest()
    assert part.digest().startswith("sha256:")


def test_digits_equal_scikit_learns(tmp_path: Path) -> None:
    import sklearn.datasets

    theirs = sklearn.datasets.load_digits()
    ours = Digits.load(tmp_path)
    rows = {(bytes(x), int(y)) for x, y in zip(theirs.data.astype(np.uint8), theirs.target, strict=True)}
    pairs = [(ours.train_x, ours.train_y), (ours.test_x, ours.test_y)]
    assert rows == {(bytes(x), int(y)) for xs, ys in pairs for x, y in zip(xs, ys, strict=True)}
    assert np.bincount(ours.test_y).min() >= 34


@pytest.mark.slow
def test_mnist1d_equals_the_published_generator(tmp_path: Path) -> None:
    import mnist1d.data

    theirs = mnist1d.data.make_dataset(mnist1d.data.get_dataset_args())
    ours = MNIST1D.load(tmp_path)
    np.testing.assert_allclose(ours.train_x, theirs["x"], atol=1e-6)
    np.testing.assert_allclose(ours.test_x, theirs["x_test"], atol=1e-6)
    np.testing.assert_array_equal(ours.train_y, theirs["y"])


def test_arrays_belong_to_their_caller(tmp_path: Path) -> None:
    first, expected = MNIST1D.load(tmp_path), MNIST1D.load(tmp_path)
    for array in (first.train_x, first.train_y, first.test_x, first.test_y):
        array.fill(0)
    again = MNIST1D.load(tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(again[:4], expected[:4], strict=True))


def test_split_depends_on_split_seed_only() -> None:
    import torch

    def parts(**changes: object) -> tuple[bytes, bytes]:
        data = Data(Digits.model_validate({"validation_size": 100, **changes}), Path("/"), torch.device("cpu"))
        return data.validation.x.numpy().tobytes(), data.raw.numpy().tobytes()

    assert parts() == parts()
    assert parts(split_seed=1)[0] != parts()[0]
    assert parts(train_size=200)[0] == parts()[0]
    assert parts()[1].startswith(parts(train_size=200)[1])


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> type[FashionMNIST]:
    """FashionMNIST on a machine without the system's package."""
    if not DEBIAN.exists():
        pytest.skip("FashionMNIST is not on this machine")
    monkeypatch.setattr(FashionMNIST, "places", ())
    return FashionMNIST


def test_missing_dataset_names_the_commands_that_install_it(bare: type[FashionMNIST], tmp_path: Path) -> None:
    message = bare.missing(tmp_path) or ""
    assert "fitwell data fetch fashion_mnist" in message
    assert "apt-get install dataset-fashion-mnist" in message
    with pytest.raises(FileNotFoundError, match="fitwell data fetch"):
        bare.load(tmp_path)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: type[FashionMNIST]) -> Path:
    """A real HTTP server with the real files, as the only mirror."""
    served = tmp_path / "served" / "fashion_mnist"
    served.mkdir(parents=True)
    for path in DEBIAN.iterdir():
        (served / path.name).write_bytes(path.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(served.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("FITWELL_MIRROR", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(FashionMNIST, "mirrors", ())
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    return served


@pytest.mark.slow
def test_fetched_files_are_verified_and_complete(mirror: Path, bare: type[FashionMNIST], tmp_path: Path) -> None:
    home = tmp_path / "home"
    bare.fetch(home)
    assert bare.missing(home) is None
    assert bare.load(home).train_x.shape == (60_000, 28, 28)
    assert len(list((home / "fashion_mnist").iterdir())) == 4


@pytest.mark.slow
def test_altered_or_missing_download_leaves_nothing_behind(
    mirror: Path, bare: type[FashionMNIST], tmp_path: Path
) -> None:
    labels = mirror / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(ConnectionError, match="SHA-256 differs"):
        bare.fetch(tmp_path / "home")
    assert not [p.name for p in (tmp_path / "home" / "fashion_mnist").iterdir() if "t10k-labels" in p.name]
    labels.unlink()
    with pytest.raises(ConnectionError, match="404"):
        bare.fetch(tmp_path / "home")


def test_truncated_file_is_named_when_it_is_read(bare: type[FashionMNIST], tmp_path: Path) -> None:
    home = tmp_path / "fashion_mnist"
    home.mkdir()
    for path in DEBIAN.iterdir():
        (home / path.name).write_bytes(path.read_bytes())
    labels = home / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-100])
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        bare.load(tmp_path)


def test_files_published_gzipped_are_verified_by_their_gzipped_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MNIST in small: four real files whose digests are those of the gzipped content, fetched and read."""
    served, home = tmp_path / "served" / "mnist", tmp_path / "home"
    served.mkdir(parents=True)
    digests = {}
    for name in MNIST.files:
        rows = 60 if name.startswith("train") else 10
        shape = (rows, 28, 28) if "images" in name else (rows,)
        sizes = b"".join(size.to_bytes(4, "big") for size in shape)
        values = (np.arange(np.prod(shape)) % (256 if "images" in name else 10)).astype(np.uint8)
        content = gzip.compress(bytes([0, 0, 8, len(shape)]) + sizes + values.tobytes())
        (served / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(MNIST, "files", digests)
    monkeypatch.setattr(MNIST, "mirrors", ())
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=served.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("FITWELL_MIRROR", f"http://127.0.0.1:{server.server_port}")
        MNIST.fetch(home)
        server.shutdown()
    assert sorted(file.name for file in (home / "mnist").iterdir()) == sorted(digests)
    data = MNIST.load(home)
    assert (data.train_x.shape, data.test_x.shape) == ((60, 28, 28), (10, 28, 28))
    assert set(data.train_y) == set(range(10))
    images = home / "mnist" / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes()), compresslevel=1))
    with pytest.raises(FileNotFoundError, match="SHA-256 differs"):
        MNIST.load(home)
