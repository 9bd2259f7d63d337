"""The interface between service and worker: queued runs out, measurements in.

The service implements ``JobSource``, and the worker's ``__main__`` connects the two. Imports neither torch nor HTTP
nor SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Order = Literal["go", "cancel", "pause", "time_out", "lost"]
"""The order to the worker that holds a run: continue, end it (cancelled, paused, or past its time limit), or drop it
because the lease is lost."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file with the whole state of a run at the end of ``epoch``; 0 is before training."""

    epoch: int
    path: str
    """Relative to the directory of checkpoints, and to its folder in the bucket."""
    sha256: str
    bytes: int
    digest: str
    """The chained digest up to this epoch."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file with a run's parameters and buffers after ``epoch``: its model."""

    at: Literal["best", "last", "averaged", "start", "teacher"]
    """``start``: the initial weights of a warm start; ``teacher``: a teacher's. Both are of another run."""
    epoch: int
    path: str
    """Relative to the same directory. May be the file of a checkpoint."""
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line for the logs of some runs."""

    run_ids: Sequence[str]
    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A run that this worker holds until its lease ends; ``token`` proves it in every later write."""

    run_id: str
    token: str
    attempt: int
    spec: Mapping[str, object]
    """The resolved spec, for ``RunSpec.model_validate_json``."""
    stack_runs: int = 2
    """The largest stack that runs like this one may ever share, up to which the determinism probe tests."""
    checkpoints: Sequence[Checkpoint] = ()
    """Newest first; training resumes from the first readable one."""
    weights: Sequence[WeightsFile] = ()
    """Weights of the best epoch so far, of a warm start, and of the teachers."""
    history: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Series recorded so far, by name, from epoch 1."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurements of one epoch of a run."""

    run_id: str
    epoch: int
    steps: int
    metrics: Mapping[str, float]
    """Series by name; values may be NaN or infinite."""
    seconds: float
    """Wall time of the epoch for the whole stack, evaluation included."""
    digest: str
    """Chained digest of all bits of the run up to and including this epoch."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended for this worker."""

    run_id: str
    status: Literal["succeeded", "failed", "cancelled", "paused"]
    code: str | None = None
    """The reason, for programs: ``diverged``, ``out_of_memory``, ``stopped_early``, ``bad_checkpoint``…"""
    message: str | None = None
    """The reason, for people, and what would work."""
    rule: int | None = None
    """Position in the spec's ``stop`` of the rule that ended the run; None if it was none of them."""
    peak_bytes: int | None = None
    """Peak resident memory of the process while it trained the run and its stack peers; None if it is not measured."""
    reports: Mapping[str, object] = field(default_factory=dict)
    """Measurements of the final model: JSON by name of the report."""


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A worker that claims runs."""

    worker_id: str
    host: str
    pid: int
    devices: Sequence[str]
    """Such as ``("cpu",)`` or ``("cpu", "cuda:0")``."""
    details: Mapping[str, object]
    """Hardware, versions and determinism classes, for /v1/capabilities."""


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """The status of a registered worker."""

    worker_id: str
    begun: bool
    """Whether it registered itself; False if only its dispatcher registered it so far."""
    silent: bool
    """Whether its last heartbeat is older than a lease."""
    busy: bool
    """Whether it holds a run."""


class SourceUnavailable(Exception):
    """The job source is temporarily unavailable (locked, restarting, unreachable); the call can be retried."""


class JobSource(Protocol):
    """The queue of runs, and the record of their results. Every method is one transaction and thread-safe.

    A method that takes claims changes nothing for a run whose token is stale. If it returns run ids, they are those of
    such runs: the caller drops them, and the others continue. Every method may raise ``SourceUnavailable``, and then
    has changed nothing.
    """

    def register(self, worker: WorkerInfo) -> None:
        """Register this worker, or renew its registration."""
        ...

    def claim(self, worker: WorkerInfo, *, limit: int) -> Sequence[Claim]:
        """Claim the first queued run by priority and age, and up to ``limit`` − 1 that can join its stack now."""
        ...

    def started(
        self,
        claims: Sequence[Claim],
        *,
        device: str,
        determinism_class: str,
        baselines: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> set[str]:
        """Record that training begins, on a device with a determinism class, and each run's baseline by its id.

        Returns the ids of lost runs.
        """
        ...

    def orders(self, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Return the orders by run id without renewing the leases: one cheap read."""
        ...

    def heartbeat(self, worker: WorkerInfo, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Renew the leases, and return the orders by run id."""
        ...

    def record(self, claims: Sequence[Claim], measurements: Sequence[Measurement]) -> set[str]:
        """Record one epoch of a stack, fenced run by run. Returns the ids of lost runs."""
        ...

    def checkpointed(
        self,
        claims: Sequence[Claim],
        checkpoints: Mapping[str, Checkpoint],
        weights: Mapping[str, Sequence[WeightsFile]],
    ) -> Sequence[str]:
        """Record the newest checkpoints and weights by run id. Returns the paths of unreferenced files."""
        ...

    def note(self, claims: Sequence[Claim], note: Note) -> None:
        """Add a line to the logs of the note's runs that are still held."""
        ...

    def finish(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> set[str]:
        """Record how runs ended. Returns the ids of lost runs."""
        ...

    def release(self, claims: Sequence[Claim], *, failed: bool) -> None:
        """Release runs to the queue, at shutdown or after the training process died (``failed``)."""
        ...

    def close(self, worker: WorkerInfo) -> None:
        """Remove this worker's registration."""
        ...


class Queue(Protocol):
    """The state that a dispatcher needs: queued runs and registered workers. May raise ``SourceUnavailable``."""

    def queued(self, devices: Sequence[str]) -> int:
        """Return the number of queued runs that one of ``devices`` can train."""
        ...

    def workers(self) -> Sequence[WorkerStatus]:
        """Return all registered workers, including those that died without ending their registration."""
        ...
