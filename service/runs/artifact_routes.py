"""Routes of a run's artifacts: its checkpoints, weights and log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from service.errors import SpecRefused, Unavailable
from service.http.problems import problems
from service.http.routing import Route
from service.http.timestamps import timestamp
from service.runs.dependencies import RunReaderDep
from service.runs.errors import RunNotFound
from service.runs.parameters import LogQuery
from service.store.rows import Row

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route)


class FileView(BaseModel):
    """A file of tensors."""

    epoch: int
    sha256: str
    bytes: int
    written_at: str


class CheckpointView(FileView):
    """The state of a run at the end of an epoch, with its optimizer's state."""

    attempt: int
    digest: str = Field(description="The chained digest of the epoch.")


class WeightsFileView(FileView):
    """The parameters and buffers of a model after an epoch."""

    at: Literal["best", "last", "averaged", "start"] = Field(
        description="averaged: the average of a run with averaging; start: the weights that a warm start began with."
    )


class CheckpointList(BaseModel):
    """The stored checkpoints and weights of a run."""

    object: Literal["list"] = "list"
    data: list[CheckpointView] = Field(description="The last two, newest first.")
    weights: list[WeightsFileView]


class LogLine(BaseModel):
    """A message that a worker logged about a run."""

    id: int
    at: str
    attempt: int
    level: Literal["info", "warning", "error"]
    text: str

    @classmethod
    def of(cls, row: Row) -> LogLine:
        """Return the view of a stored line."""
        return cls(id=row.id, at=timestamp(row.at) or "", attempt=row.attempt, level=row.level, text=row.text)


class Log(BaseModel):
    """Lines of a run's log, oldest first."""

    object: Literal["list"] = "list"
    data: list[LogLine]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")


@router.get(
    "/{run_id}/checkpoints",
    operation_id="list_checkpoints",
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def list_checkpoints(run_id: str, runs: RunReaderDep) -> CheckpointList:
    """List the stored checkpoints and weights of a run."""
    checkpoints, weights = runs.files(run_id)
    return CheckpointList(
        data=[CheckpointView(**_file(row), attempt=row.attempt, digest=row.digest) for row in checkpoints],
        weights=[WeightsFileView(**_file(row), at=row.at) for row in weights],
    )


def _file(row: Row) -> dict[str, Any]:
    return {
        "epoch": row.epoch,
        "sha256": row.sha256,
        "bytes": row.bytes,
        "written_at": timestamp(row.written_at),
    }


@router.get(
    "/{run_id}/logs",
    operation_id="get_logs",
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def get_logs(run_id: str, query: Annotated[LogQuery, Query()], runs: RunReaderDep) -> Log:
    """Return what workers logged about a run: where and how it trains, what went wrong and why."""
    rows = runs.log(run_id, after=query.after, limit=query.limit + 1)
    lines = [LogLine.of(row) for row in rows[: query.limit]]
    return Log(data=lines, has_more=len(rows) > query.limit, next_cursor=str(lines[-1].id) if lines else None)
