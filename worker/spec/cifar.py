"""The CIFAR datasets in their binary version: records of label bytes and 3 × 32 × 32 pixels in a .tar.gz.

The archive is verified by its SHA-256 before it is opened. It is read in memory; nothing is unpacked onto the disk.

Reference: Krizhevsky, 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from worker.spec.fetched import Fetched

if TYPE_CHECKING:
    import numpy as np

PIXELS = 3 * 32 * 32


class CIFAR(Fetched):
    """A dataset in the binary version of CIFAR."""

    reference: ClassVar[str] = "Krizhevsky 2009, Learning multiple layers of features from tiny images"
    mirrors: ClassVar[tuple[str, ...]] = ("https://www.cs.toronto.edu/~kriz/",)
    members: ClassVar[tuple[Sequence[str], Sequence[str]]]
    """Names in the archive of the files that train and of those that test."""
    label_bytes: ClassVar[int]
    """Labels of each record."""

    @classmethod
    def records(cls, home: Path) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        """Return images (n, 3, 32, 32) and labels (n, label_bytes), uint8, of the training and of the test part."""
        import numpy as np

        (path,) = cls.genuine(home).values()
        parts = []
        with tarfile.open(path) as archive:
            for names in cls.members:
                content = b"".join(_member(archive, name) for name in names)
                rows = np.frombuffer(content, np.uint8).reshape(-1, cls.label_bytes + PIXELS)
                parts.append((rows[:, cls.label_bytes :].reshape(-1, 3, 32, 32), rows[:, : cls.label_bytes]))
        return parts


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, f"{name} is a file in the verified archive"
    return file.read()
