"""Options and limits for parsing an upload, shared by the service and the parser process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Format = Literal["npz", "csv", "parquet", "zip"]
Task = Literal["classification", "regression"]
TEST_SHARE = 0.2
"""Default share of rows in the test part."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to parse a file; None is inferred, and explained in a note."""

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
    """Limits on parsing a file."""

    memory_bytes: int
    """Address space, beyond what the parser uses before it opens the file."""
    dataset_bytes: int
    """Size of the resulting dataset."""
    seconds: float


@dataclass(frozen=True)
class Files:
    """The files in the parser's directory."""

    path: Path

    @property
    def body(self) -> Path:
        """The upload."""
        return self.path / "body"

    @property
    def data(self) -> Path:
        """The parsed dataset."""
        return self.path / "data.safetensors"

    @property
    def report(self) -> Path:
        """The parser's report."""
        return self.path / "report.json"

    @property
    def story(self) -> Path:
        """The parser's standard error."""
        return self.path / "stderr"


@dataclass(frozen=True)
class Reading:
    """The arguments of the parser."""

    options: Options
    limits: Limits

    def text(self) -> str:
        """Return the arguments as text for the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Reading:
        """Parse the text of ``text()``."""
        fields = json.loads(text)
        options = {**fields["options"], "drop": tuple(fields["options"]["drop"])}
        return cls(Options(**options), Limits(**fields["limits"]))
