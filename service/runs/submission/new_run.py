"""The request for a run, as the service receives it."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.runs.run import RunMetadata
from worker.spec.run import RunSpec


@dataclass(frozen=True)
class NewRun:
    """A run to create."""

    spec: RunSpec
    metadata: RunMetadata = field(default_factory=RunMetadata)
