"""Warm starts: a run that begins with the weights of another one.

At submission the weights are found and named by their SHA-256, which is all that the result depends on; the new run
points at the same file, so that it is there whatever becomes of the other run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.callers import Caller
from service.errors import FieldError, SpecRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.submission.review import NewRun
from worker.ports import WeightsFile
from worker.spec.run import RunSpec, WarmStart


def resolved(connection: sa.Connection, new: NewRun, caller: Caller) -> NewRun:
    """The run with its warm start named by content.

    Raises:
        SpecRefused: there are no such weights, or they are another model's.
    """
    start = new.spec.warm_start
    if start is None:
        return new
    file, run_id = _found(connection, start, caller)
    row = rows.by_id(connection, run_id)
    assert row is not None, f"{run_id} has weights and is not there"
    _check_model(new.spec, RunSpec.of(row.spec), run_id)
    named = start.model_copy(update={"sha256": file.sha256})
    return replace(new, spec=new.spec.model_copy(update={"warm_start": named}))


def attach(connection: sa.Connection, run_id: str, spec: Mapping[str, Any]) -> None:
    """Let a new run point at the weights it begins with, where it is a warm start.

    Raises:
        SpecRefused: they were removed since it was resolved.
    """
    if not spec.get("warm_start"):
        return
    known = files.by_content(connection, spec["warm_start"]["sha256"])
    if known is None:
        raise _refused("run_id", "no_weights", "The weights to begin with were removed just now; name another run.")
    files.replace_weights(connection, run_id, replace(known[0], at="start"))


def _found(connection: sa.Connection, start: WarmStart, caller: Caller) -> tuple[WeightsFile, str]:
    """The file, and a run that it is of: by content where it is named so, as in a clone; else as the run has it now."""
    if start.sha256 is not None:
        known = files.by_content(connection, start.sha256, owner=caller.only)
        if known is None:
            message = f"No run has weights with the SHA-256 {start.sha256!r} any more; leave it out to take new ones."
            raise _refused("sha256", "no_weights", message)
        return known
    row = rows.by_id(connection, start.run_id)
    if row is None or not caller.sees(row.owner):
        raise _refused("run_id", "run_not_found", f"There is no run {start.run_id!r} to begin with.")
    kept = {file.at: file for file in files.weights_of(connection, row.reused_from or row.id)}
    if start.at not in kept:
        when = "as soon as it is first saved" if start.at == "best" else "when it has ended"
        message = f"{start.run_id} is {row.status!r} and has no weights of its {start.at} epoch; a run has them {when}."
        raise _refused("run_id", "no_weights", message)
    return kept[start.at], row.id


def _check_model(wanted: RunSpec, there: RunSpec, run_id: str) -> None:
    """Refuse weights whose names and shapes are not those of the model that is wanted."""
    mine, its = _shapes(wanted), _shapes(there)
    for name in {**mine, **its}:
        if mine.get(name) != its.get(name):
            message = (
                f"The model of {run_id} is another one: its {name} is {_shape(its.get(name))}, "
                f"and this model's is {_shape(mine.get(name))}."
            )
            raise _refused("run_id", "other_model", message)


def _shapes(spec: RunSpec) -> dict[str, tuple[int, ...]]:
    shape = spec.dataset.shape
    return {**spec.model.parameters(shape, spec.dataset.outputs), **spec.model.buffers(shape)}


def _shape(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else "×".join(map(str, shape))


def _refused(field: str, code: str, message: str) -> SpecRefused:
    return SpecRefused(message, errors=[FieldError(f"/warm_start/{field}", code, message)])
