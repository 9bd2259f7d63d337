"""The request for a run, as the service receives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.spec.run import RunSpec


@dataclass(frozen=True)
class NewRun:
    """A run to create."""

    spec: RunSpec
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    max_seconds: float | None = None
