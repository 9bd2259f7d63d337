"""The one small port between the two planes: who hands out work and takes measurements.

The service implements ``JobSource``; the worker's composition root connects the two. Nothing here knows torch,
HTTP or SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Order = Literal["go", "cancel", "pause", "time_out", "lost"]
"""The order to the holder of a run: continue, let it leave the stack (cancelled, paused, or over its time limit), or
drop it because the lease is lost."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file that holds a run as it was at the end of ``epoch``; 0 is before training."""

    epoch: int
    path: str
    """Relative to the directory of checkpoints, and to its folder in the bucket where there is one."""
    sha256: str
    bytes: int
    digest: str
    """The chained digest of the epoch, from which the chain continues."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file that holds a run's parameters and buffers as they were after ``epoch``: what its model is."""

    at: Literal["best", "last", "start", "teacher"]
    """``start``: what a warm start begins with; ``teacher``: of a model that teaches. Both are of another run."""
    epoch: int
    path: str
    """Relative to the same directory; where nothing else is to be saved it is a checkpoint's own file."""
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line of some runs' log."""

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
    """The resolved spec, as ``RunSpec.model_validate_json`` takes it."""
    stack_runs: int = 2
    """How many runs like this one may ever share a stack; the probe looks that far."""
    checkpoints: Sequence[Checkpoint] = ()
    """Newest first; training continues from the first readable one."""
    weights: Sequence[WeightsFile] = ()
    """Files of weights: the best epoch so far, a warm start, and the teachers."""
    history: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Series recorded so far, by name, from epoch 1."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One run's epoch."""

    run_id: str
    epoch: int
    steps: int
    metrics: Mapping[str, float]
    """Series by name; values may be NaN or infinite."""
    seconds: float
    """Wall time of the epoch, evaluation included; of the whole stack."""
    digest: str
    """Chained: names all bits of the run up to and including this epoch."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended for this worker."""

    run_id: str
    status: Literal["succeeded", "failed", "cancelled", "paused"]
    code: str | None = None
    """Why, for a program: ``diverged``, ``out_of_memory``, ``stopped_early``, ``bad_checkpoint``…"""
    message: str | None = None
    """Why, for a person, and what would work."""
    reports: Mapping[str, object] = field(default_factory=dict)
    """Measurements of the final model, as JSON by the name of the report."""


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A worker that claims runs."""

    worker_id: str
    host: str
    pid: int
    devices: Sequence[str]
    """Such as ``("cpu",)`` or ``("cpu", "cuda:0")``."""
    details: Mapping[str, object]
    """Hardware, versions, routes and determinism classes, as /v1/capabilities shows them."""


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """The status of a registered worker."""

    worker_id: str
    begun: bool
    """Whether it has registered by itself; False for one that a dispatcher made known before it started."""
    silent: bool
    """Whether it gave no sign of life for longer than a lease."""
    busy: bool
    """Whether it holds a run."""


class SourceUnavailable(Exception):
    """The job source did not answer this time (locked, restarting, unreachable); the same call may be made again."""


class JobSource(Protocol):
    """Hands out runs and takes what comes of them. Every method is one transaction; safe to call from several threads.

    A method that takes a claim changes nothing for a run whose token is no longer current, and names that run in
    what it returns: the holder drops it, the others continue. Every method may raise ``SourceUnavailable``, and then
    has changed nothing.
    """

    def register(self, worker: WorkerInfo) -> None:
        """Make this worker known, or say again that it lives."""
        ...

    def claim(self, worker: WorkerInfo, *, limit: int) -> Sequence[Claim]:
        """The first queued run by priority and age, with up to ``limit`` − 1 that can join its stack now."""
        ...

    def started(self, claims: Sequence[Claim], *, device: str, determinism_class: str) -> set[str]:
        """Training begins: on which device, with which promise. Returns the run ids that were lost."""
        ...

    def orders(self, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Hear what is wanted, by run id, without renewing anything: one cheap read."""
        ...

    def heartbeat(self, worker: WorkerInfo, claims: Sequence[Claim]) -> Mapping[str, Order]:
        """Renew the leases and hear what is wanted, by run id."""
        ...

    def record(self, claims: Sequence[Claim], measurements: Sequence[Measurement]) -> set[str]:
        """Record one epoch of a stack in one transaction, fenced row by row. Returns the run ids that were lost."""
        ...

    def checkpointed(
        self,
        claims: Sequence[Claim],
        checkpoints: Mapping[str, Checkpoint],
        weights: Mapping[str, Sequence[WeightsFile]],
    ) -> Sequence[str]:
        """Point runs (by id) at their newest checkpoints and weights. Returns the paths that nothing points at now."""
        ...

    def note(self, claims: Sequence[Claim], note: Note) -> None:
        """Add a line to the logs of those of its runs that are held."""
        ...

    def finish(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> set[str]:
        """End runs in one transaction. Returns the run ids that were lost."""
        ...

    def release(self, claims: Sequence[Claim], *, failed: bool) -> None:
        """Give runs back to the queue: at shutdown, or since the training process died (then ``failed``)."""
        ...

    def close(self, worker: WorkerInfo) -> None:
        """This worker is gone."""
        ...


class Queue(Protocol):
    """The state that a dispatcher needs: queued runs and registered workers. May raise ``SourceUnavailable``."""

    def queued(self, devices: Sequence[str]) -> int:
        """How many runs wait that one of ``devices`` can train."""
        ...

    def workers(self) -> Sequence[WorkerStatus]:
        """Every worker that is known, those that died without a word included."""
        ...
