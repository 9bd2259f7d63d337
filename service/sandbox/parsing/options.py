"""What an uploader says of a file, and what reading it may cost; the service and its reader share these."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Format = Literal["npz", "csv", "parquet", "zip"]
Task = Literal["classification", "regression"]
TEST_SHARE = 0.2
"""Of the rows, for testing, where nobody says how many."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a file is to be read; what is None is found out, and told."""

    format: Format | None = None
    target: str | None = None
    drop: tuple[str, ...] = ()
    header: bool | None = None
    task: Task | None = None
    test_size: float | None = None
    order: Literal["random", "time"] | None = None
    seed: int = 0
    grey: bool = False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What reading a file may cost."""

    memory_bytes: int
    """Of address space, beyond what the reader has before it opens the file."""
    dataset_bytes: int
    """Of the dataset that comes of it."""
    seconds: float


@dataclass(frozen=True)
class Files:
    """What is in the directory that the reader works in."""

    path: Path

    @property
    def body(self) -> Path:
        """The upload, as it came."""
        return self.path / "body"

    @property
    def data(self) -> Path:
        """The dataset that the reader made of it."""
        return self.path / "data.safetensors"

    @property
    def report(self) -> Path:
        """What the reader found, or why it refuses."""
        return self.path / "report.json"

    @property
    def story(self) -> Path:
        """The reader's standard error."""
        return self.path / "stderr"


@dataclass(frozen=True)
class Reading:
    """How the reader is to read."""

    options: Options
    limits: Limits

    def text(self) -> str:
        """As an argument on a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Reading:
        """What ``text`` says."""
        told = json.loads(text)
        options = {**told["options"], "drop": tuple(told["options"]["drop"])}
        return cls(Options(**options), Limits(**told["limits"]))
