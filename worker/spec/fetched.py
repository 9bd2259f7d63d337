"""Datasets whose files are downloaded once: located, fetched from mirrors and verified by their SHA-256."""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from worker.spec.families.dataset import Dataset

MIRROR_VARIABLE = "FITWELL_MIRROR"
"""A mirror to try first, with files at <mirror>/<kind>/<name>."""


class Fetched(Dataset):
    """A dataset of files that are published somewhere."""

    files: ClassVar[Mapping[str, str]]
    """SHA-256 by file name, as published."""
    mirrors: ClassVar[tuple[str, ...]]
    """Base URLs of the files, in the order of trial."""
    places: ClassVar[tuple[Path, ...]] = ()
    """Folders of system packages to search after ``home/<kind>``."""
    package: ClassVar[str | None] = None
    """The system package with the files, if one exists."""

    @property
    def rows_of_classes(self) -> tuple[int, ...] | None:
        """Rows of each class in the training part, as published; None if they are unknown."""
        return None

    @classmethod
    def name(cls) -> str:
        """The part's kind."""
        kind: str = cls.model_fields["kind"].default
        return kind

    @classmethod
    def digest(cls) -> str:
        """Return the digest of the files' digests."""
        return "sha256:" + hashlib.sha256("\n".join(cls.files.values()).encode()).hexdigest()

    @classmethod
    def located(cls, path: Path) -> Path | None:
        """Return the file that holds the content of ``path``, or None if it is missing."""
        return path if path.is_file() else None

    @classmethod
    def published_name(cls, name: str) -> str:
        """Return the name of a file on the mirrors."""
        return name

    @classmethod
    def is_genuine(cls, path: Path, name: str) -> bool:
        """Return whether ``path`` has the published content of the file ``name``."""
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == cls.files[name]

    @classmethod
    def installed(cls, home: Path) -> dict[str, Path] | None:
        """Return the files by name, from the first folder with all of them, or None."""
        for folder in (home / cls.name(), *cls.places):
            paths = {name: cls.located(folder / name) for name in cls.files}
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
        for done, name in enumerate(cls.files):
            if progress is not None:
                progress(name, done, len(cls.files))
            if cls.located(folder / name) is None:
                published = cls.published_name(name)
                cls._download(folder / published, name, [base + published for base in bases])
        if progress is not None:
            progress("", len(cls.files), len(cls.files))

    @classmethod
    def genuine(cls, home: Path) -> dict[str, Path]:
        """Return the files by name, verified.

        Raises:
            FileNotFoundError: A file is missing, truncated or altered.
        """
        paths = cls.installed(home)
        if paths is None:
            raise FileNotFoundError(cls.missing(home))
        for name, path in paths.items():
            if not cls.is_genuine(path, name):
                raise altered(path)
        return paths

    @classmethod
    def _download(cls, target: Path, name: str, addresses: list[str]) -> None:
        import pooch
        import requests

        refusals = []
        for address in addresses:
            temporary = target.with_name(f".{secrets.token_hex(8)}.{target.name}")
            try:
                pooch.retrieve(address, known_hash=None, fname=temporary.name, path=target.parent)
                whole = cls.is_genuine(temporary, name)
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


def altered(path: Path) -> FileNotFoundError:
    """Return the error of a file with the wrong content."""
    return FileNotFoundError(f"{path} is cut short or altered (its SHA-256 differs); delete it and fetch it again.")
