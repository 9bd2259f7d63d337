"""Datasets that are determined by their kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from worker.spec.families.dataset import Arrays, Dataset


class BuiltIn(Dataset):
    """A dataset that is determined by its kind."""

    shape: ClassVar[tuple[int, ...]]
    classes: ClassVar[tuple[str, ...]]
    rows: ClassVar[tuple[int, int]]
    white: ClassVar[float] = 1.0

    @classmethod
    def digest(cls) -> str:
        """Return ``sha256:…`` of the data's content, or of the recipe that generates them."""
        raise NotImplementedError

    @classmethod
    def missing(cls, home: Path) -> str | None:
        """Return what is missing and the command that installs it, or None if the data can be read."""
        return None

    @classmethod
    def fetch(cls, home: Path, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Download the data into ``home``. ``progress`` receives (file, bytes so far, bytes in all)."""

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """Return all data in the order of the source.

        Raises:
            FileNotFoundError: The files are missing; ``missing`` says how to install them.
        """
        raise NotImplementedError
