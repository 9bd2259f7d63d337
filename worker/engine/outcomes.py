"""Measurements of epochs, and outcomes of runs with their reports and reasons."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from worker.blob_store import StorageUnavailable
from worker.engine import checkpoints
from worker.engine.evaluation import confusion
from worker.engine.recorder import EpochResult
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.engine.summary import parameters_of
from worker.ports import Measurement, Outcome
from worker.spec.layers.embedding import UnknownTokens
from worker.spec.stop_policy import Ending

LeaveStatus = Literal["cancelled", "paused", "timed_out", "lost"]


def measurement(result: EpochResult, digest: str) -> Measurement:
    """Return the measurement of an epoch.

    R² of a target that does not vary is undefined. It becomes NaN only here: in the digest it stays −∞, as before.
    """
    undefined = {name for name, value in result.metrics.items() if ".r2" in name and value == -math.inf}
    return Measurement(
        run_id=result.member.run_id,
        epoch=result.epoch,
        steps=result.steps,
        metrics=result.metrics | dict.fromkeys(undefined, math.nan),
        seconds=result.seconds,
        digest=digest,
    )


def outcomes_of(stack: Stack, data: StackData, ends: Sequence[Ending]) -> list[Outcome]:
    """Return how the runs of ``stack`` ended, with reports on their models."""
    tested = stack.members[0].spec.evaluate.test != "never"
    classes = len(data.spec.classes)
    matrices = confusion(stack, data.test, classes).tolist() if tested and classes else []
    outcomes = []
    for position, (member, ending) in enumerate(zip(stack.members, ends, strict=True)):
        reports: dict[str, object] = {"weights": parameters_of(stack, position)}
        if matrices and ending.code != "diverged":
            reports["confusion"] = matrices[position]
        outcomes.append(_outcome(member.run_id, ending, reports))
    return outcomes


def _outcome(run_id: str, ending: Ending, reports: Mapping[str, object]) -> Outcome:
    if ending.code == "diverged":
        message = (
            "A loss is no longer finite; the history up to there is kept. A lower learning rate is the usual remedy."
        )
        return Outcome(run_id=run_id, status="failed", code="diverged", message=message, reports=reports)
    return Outcome(run_id=run_id, status="succeeded", code=ending.code, rule=ending.rule, reports=reports)


def outcome_of_leaving(run_id: str, status: LeaveStatus | None) -> Outcome | None:
    """Return the outcome of a run that left its stack; None if it returns to the queue or its lease is lost."""
    if status in ("cancelled", "paused"):
        return Outcome(run_id=run_id, status=status)
    if status == "timed_out":
        message = (
            "The run reached its max_seconds; its history and checkpoints remain. "
            "Raise it (PATCH max_seconds) and retry the run; it continues from there."
        )
        return Outcome(run_id=run_id, status="failed", code="time_limit", message=message)
    return None


def explained(error: Exception) -> tuple[str, str]:
    """A code and a sentence for what ended a job."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error):
        return (
            "out_of_memory",
            "The machine has not enough memory for this model and batch size; make one of them smaller.",
        )
    if isinstance(error, checkpoints.BadCheckpoint):
        return "bad_checkpoint", f"{error}. Submit the run again."
    if isinstance(error, UnknownTokens | FileNotFoundError):
        return "unknown_tokens" if isinstance(error, UnknownTokens) else "dataset_missing", str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", "The disk of the checkpoints is full; the last one is intact. Free some space and retry."
    if isinstance(error, OSError):
        more = "" if isinstance(error, StorageUnavailable) else "A file could not be read or written: "
        return "storage", f"{more}{error}"
    return "internal_error", f"{type(error).__name__}: {error}. This is a bug; the worker's log has the details."
