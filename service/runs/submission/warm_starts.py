"""Warm starts: runs that start from the weights of another run.

The weights are named by their SHA-256, the only property that the result depends on: at submission, or when the other
run has succeeded if the new one waits for it. The new run references the same file, which therefore outlives the other
run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.callers import Caller
from service.errors import SpecRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.saved_weights import availability, non_finite
from service.runs.states import ending
from service.runs.submission.new_run import NewRun
from service.store.rows import Row
from worker.ports import WeightsFile
from worker.spec.run import RunSpec
from worker.spec.warm_start import WarmStart, other_parameters


def resolve(connection: sa.Connection, new: NewRun, caller: Caller, *, lock: bool = False) -> NewRun:
    """Return the run with the weights of its warm start named by their SHA-256.

    A run to train first is unchanged, and so is one to wait for that has not ended; with ``lock``, it cannot end until
    the transaction does.

    Raises:
        SpecRefused: The weights do not exist, are not finite, or do not fit the model.
    """
    start = new.spec.warm_start
    if start is None or start.spec is not None:
        return new
    if start.pending and not _has_succeeded(connection, new.spec, start, caller, lock=lock):
        return new
    file, run_id = _find_weights(connection, start, caller)
    row = rows.by_id(connection, run_id)
    assert row is not None, f"{run_id} has weights but no row"
    _check_finite(connection, start, file, row)
    _check_model(new.spec, RunSpec.of(row.spec), run_id)
    return with_start(new, start.model_copy(update={"sha256": file.sha256, "wait": False}))


def with_start(new: NewRun, start: WarmStart) -> NewRun:
    """Return the run with another warm start."""
    return replace(new, spec=new.spec.model_copy(update={"warm_start": start}))


def is_pending(spec: RunSpec) -> bool:
    """Return whether the run waits for the one whose weights it starts from."""
    return spec.warm_start is not None and spec.warm_start.pending


def attach(connection: sa.Connection, run_id: str, spec: Mapping[str, Any]) -> None:
    """Reference the initial weights of a new run, if it is a warm start.

    Raises:
        SpecRefused: The weights were deleted after they were resolved.
    """
    if not spec.get("warm_start") or spec["warm_start"]["sha256"] is None:
        return
    match = files.by_content(connection, spec["warm_start"]["sha256"])
    if match is None:
        raise _refuse("run_id", "no_weights", "The initial weights have just been deleted. Name another run.")
    files.replace_weights(connection, run_id, replace(match[0], at="start"))


def _find_weights(connection: sa.Connection, start: WarmStart, caller: Caller) -> tuple[WeightsFile, str]:
    """Return the weights file and the id of its run: by SHA-256 if given, as in a clone, else the run's current one."""
    if start.sha256 is not None:
        match = files.by_content(connection, start.sha256, owner=caller.only)
        if match is None:
            message = f"No run has weights with the SHA-256 {start.sha256!r}. Omit sha256 to use the current weights."
            raise _refuse("sha256", "no_weights", message)
        return match
    row = _source(connection, start, caller)
    stored = {file.at: file for file in files.weights_of(connection, row.reused_from or row.id)}
    if start.at not in stored:
        existing = [file for at in ("best", "last", "averaged") if (file := stored.get(at)) is not None]
        allowed = [file.at for file in existing]
        remedy = ", ".join(f"{file.at!r} (epoch {file.epoch})" for file in existing)
        message = f"{start.run_id} is {row.status!r} and has no {start.at} weights: {availability(start.at, row)}." + (
            f" It has {remedy}." if existing else ""
        )
        raise SpecRefused.at(
            "/warm_start/at" if existing else "/warm_start/run_id", "no_weights", message, allowed=allowed
        )
    return stored[start.at], row.id


def _has_succeeded(connection: sa.Connection, spec: RunSpec, start: WarmStart, caller: Caller, *, lock: bool) -> bool:
    """Return whether the run to wait for has succeeded; False if it has not ended.

    Raises:
        SpecRefused: It failed or was cancelled, or will not have these weights.
    """
    row = _source(connection, start, caller, lock=lock)
    source = RunSpec.of(row.spec)
    _check_model(spec, source, row.id)
    if start.at == "averaged" and source.averaging is None:
        message = f"{row.id} has no averaged weights: {availability(start.at, row)}. Name another run."
        raise SpecRefused.at("/warm_start/at", "no_weights", message, allowed=["best", "last"])
    if row.status in ("failed", "cancelled"):
        message = f"{row.id}, whose weights to wait for, {ending(row.status)}. Retry it, or name another run."
        raise _refuse("run_id", "source_failed", message)
    return bool(row.status == "succeeded")


def _source(connection: sa.Connection, start: WarmStart, caller: Caller, *, lock: bool = False) -> Row:
    """Return the row of the run whose weights to start from, locked on request."""
    row = rows.by_id(connection, start.run_id or "", lock=lock)
    if row is None or not caller.sees(row.owner):
        raise _refuse("run_id", "run_not_found", f"Run {start.run_id!r}, whose weights to start from, does not exist.")
    return row


def _check_finite(connection: sa.Connection, start: WarmStart, file: WeightsFile, row: Row) -> None:
    """Refuse the weights in ``file`` if the run in ``row`` diverged, unless they are of its best epoch."""
    if file.at == "start":  # the run in ``row`` began with them
        return
    stored = {one.at for one in files.weights_of(connection, row.reused_from or row.id)}
    message = non_finite(file.at, row, stored)
    if message is None:
        return
    if start.sha256 is not None:
        raise _refuse("sha256", "diverged", f"{message} Omit sha256 then.")
    if "best" not in stored:
        raise _refuse("run_id", "diverged", message)
    raise SpecRefused.at("/warm_start/at", "diverged", message, allowed=["best"])


def _check_model(spec: RunSpec, source: RunSpec, run_id: str) -> None:
    """Refuse weights whose names or shapes differ from those of the model."""
    if (difference := other_parameters(spec, source)) is not None:
        raise _refuse("run_id", "other_model", f"The weights of {run_id} do not fit this model: {difference}.")


def _refuse(field: str, code: str, message: str) -> SpecRefused:
    return SpecRefused.at(f"/warm_start/{field}", code, message)
