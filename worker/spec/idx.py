"""Datasets in the IDX format of MNIST.

The format: two zero bytes, a type byte (8 = unsigned byte), the number of dimensions, each dimension as a big-endian
32-bit integer, then the values in C order. Files may be gzipped. Content is verified by the SHA-256 of the plain bytes,
independent of the compression, or of the gzipped file if its digest is the published one.

Reference: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from worker.spec.families.built_in import BuiltIn
from worker.spec.families.dataset import Arrays
from worker.spec.fetched import Fetched, altered

if TYPE_CHECKING:
    import numpy as np


class IDXDataset(Fetched, BuiltIn):
    """A dataset of four IDX files: training and test images and labels, in this order.

    A file without ``.gz`` in ``files`` may be stored gzipped, and one with ``.gz`` plain if ``plain`` has its digest.
    """

    plain: ClassVar[Mapping[str, str]] = {}
    """SHA-256 of the plain bytes by name without ``.gz``, of files whose gzipped digest is the published one."""

    @classmethod
    def located(cls, path: Path) -> Path | None:
        """Return the plain file or the gzipped one, or None if both are missing."""
        zipped = path.suffix == ".gz"
        other = path.with_suffix("") if zipped else path.with_name(f"{path.name}.gz")
        known = not zipped or other.name in cls.plain
        return next((one for one in ((path, other) if known else (path,)) if one.is_file()), None)

    @classmethod
    def published_name(cls, name: str) -> str:
        """Return the name of the gzipped file."""
        return f"{name.removesuffix('.gz')}.gz"

    @classmethod
    def is_genuine(cls, path: Path, name: str) -> bool:
        """Return whether ``path``, gzipped or plain, has the published content of the file ``name``."""
        return cls._content(path, name) is not None

    @classmethod
    def _content(cls, path: Path, name: str) -> bytes | None:
        """Return the plain bytes of ``path`` if it has the content of the file ``name``, or None."""
        content = path.read_bytes()
        plain = gzip.decompress(content) if path.suffix == ".gz" else content
        published = content if name.endswith(".gz") else plain
        if hashlib.sha256(published).hexdigest() == cls.files[name]:
            return plain
        same = hashlib.sha256(plain).hexdigest() == cls.plain.get(name.removesuffix(".gz"))
        return plain if same else None

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """Return the data of the four files, verified."""
        paths = cls.installed(home)
        if paths is None:
            raise FileNotFoundError(cls.missing(home))
        train_x, train_y, test_x, test_y = (cls._array(paths[name], name) for name in cls.files)
        return Arrays(train_x, train_y.astype("int64"), test_x, test_y.astype("int64"))

    @classmethod
    def _array(cls, path: Path, name: str) -> np.ndarray[Any, Any]:
        """Return the values of an IDX file.

        Raises:
            FileNotFoundError: The file is truncated or altered.
        """
        try:
            content = cls._content(path, name)
        except (OSError, EOFError, zlib.error) as error:
            raise FileNotFoundError(f"{path} cannot be read ({error}); delete it and fetch it again.") from error
        if content is None:
            raise altered(path)
        return values_of(content)


def values_of(content: bytes) -> np.ndarray[Any, Any]:
    """Return the values of a plain IDX file of unsigned bytes."""
    import numpy as np

    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3]))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
