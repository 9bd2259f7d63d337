"""Datasets in the IDX format of MNIST: located, downloaded, verified and read.

The format: two zero bytes, a type byte (8 = unsigned byte), the number of dimensions, each dimension as a big-endian
32-bit integer, then the values in C order. Files may be gzipped. Content is verified by the SHA-256 of the plain bytes,
independent of the compression, or of the gzipped file if only that digest was published.

Reference: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import hashlib
import os
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from worker.spec.families.dataset import Arrays, BuiltIn

if TYPE_CHECKING:
    import numpy as np

MIRROR_VARIABLE = "FITWELL_MIRROR"
"""A mirror to try first, with files at <mirror>/<kind>/<name>.gz."""


class IDXDataset(BuiltIn):
    """A dataset of four IDX files: training and test images and labels, in this order."""

    files: ClassVar[dict[str, str]]
    """SHA-256 by file name; a file without ``.gz`` may be stored gzipped."""
    mirrors: ClassVar[tuple[str, ...]]
    """Base URLs of the gzipped files, in the order of trial."""
    places: ClassVar[tuple[Path, ...]] = ()
    """Folders of system packages to search after ``home/<kind>``."""
    package: ClassVar[str | None] = None
    """The system package with the files, if one exists."""

    @classmethod
    def name(cls) -> str:
        """The part's kind."""
        kind: str = cls.model_fields["kind"].default
        return kind

    @classmethod
    def digest(cls) -> str:
        """Return the digest of the four files' digests."""
        return "sha256:" + hashlib.sha256("\n".join(cls.files.values()).encode()).hexdigest()

    @classmethod
    def installed(cls, home: Path) -> dict[str, Path] | None:
        """Return the four files by name, from the first folder with all of them, or None."""
        for folder in (home / cls.name(), *cls.places):
            paths = {name: _either(folder / name) for name in cls.files}
            if all(paths.values()):
                return {name: path for name, path in paths.items() if path is not None}
        return None

    @classmethod
    def missing(cls, home: Path) -> str | None:
        """Return how to install missing files, or None; checks only their existence."""
        if cls.installed(home) is not None:
            return None
        package = f", or install the system's package: apt-get install {cls.package}" if cls.package else ""
        return (
            f"The files of {cls.name()!r} are not on this machine. Get them: fitwell data fetch {cls.name()}{package}."
        )

    @classmethod
    def fetch(cls, home: Path, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Download missing files into ``home/<kind>``, each verified before it gets its name.

        Raises:
            ConnectionError: No mirror returned the file with the right digest; lists the error of each.
        """
        folder = home / cls.name()
        folder.mkdir(parents=True, exist_ok=True)
        mirror = os.environ.get(MIRROR_VARIABLE)
        bases = ((f"{mirror.rstrip('/')}/{cls.name()}/",) if mirror else ()) + cls.mirrors
        for done, (name, sha256) in enumerate(cls.files.items()):
            if progress is not None:
                progress(name, done, len(cls.files))
            if _either(folder / name) is None:
                zipped = f"{name.removesuffix('.gz')}.gz"
                _download(folder / zipped, name, [base + zipped for base in bases], sha256)
        if progress is not None:
            progress("", len(cls.files), len(cls.files))

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """Return the data of the four files, verified."""
        paths = cls.installed(home)
        if paths is None:
            raise FileNotFoundError(cls.missing(home))
        train_x, train_y, test_x, test_y = (_array(paths[name], name, sha256) for name, sha256 in cls.files.items())
        return Arrays(train_x, train_y.astype("int64"), test_x, test_y.astype("int64"))


def _either(path: Path) -> Path | None:
    """Return the plain file or the gzipped one, or None if both are missing."""
    return next((p for p in (path, path.with_name(f"{path.name}.gz")) if p.is_file()), None)


def _same(path: Path, name: str, sha256: str) -> bytes | None:
    """Return the plain bytes of ``path`` if it has the digest of the file ``name``, or None."""
    content = path.read_bytes()
    plain = gzip.decompress(content) if path.suffix == ".gz" else content
    known = content if name.endswith(".gz") else plain
    return plain if hashlib.sha256(known).hexdigest() == sha256 else None


def _array(path: Path, name: str, sha256: str) -> np.ndarray[Any, Any]:
    """Return the values of an IDX file.

    Raises:
        FileNotFoundError: The file is truncated or altered.
    """
    import numpy as np

    try:
        content = _same(path, name, sha256)
    except (OSError, EOFError, zlib.error) as error:
        raise FileNotFoundError(f"{path} cannot be read ({error}); delete it and fetch it again.") from error
    if content is None:
        raise FileNotFoundError(f"{path} is cut short or altered (its SHA-256 differs); delete it and fetch it again.")
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3]))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _download(target: Path, file: str, addresses: list[str], sha256: str) -> None:
    import pooch
    import requests

    refusals = []
    for address in addresses:
        name = f".{secrets.token_hex(8)}.{target.name}"
        temporary = target.with_name(name)
        try:
            pooch.retrieve(address, known_hash=None, fname=name, path=target.parent)
            whole = _same(temporary, file, sha256) is not None
        except (requests.RequestException, OSError, EOFError, zlib.error) as error:
            refusals.append(f"{address}: {error}")
            temporary.unlink(missing_ok=True)
            continue
        if whole:
            temporary.replace(target)
            return
        refusals.append(f"{address}: the content is not what it should be (its SHA-256 differs)")
        temporary.unlink()
    raise ConnectionError(
        f"{target.name} could not be fetched. "
        + "; ".join(refusals)
        + f". Set {MIRROR_VARIABLE} to a mirror of your own."
    )
