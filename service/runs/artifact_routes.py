"""Routes of what the workers wrote of a run: its checkpoints and weights, and its log."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.errors import SpecRefused, Unavailable
from service.http.dependencies import only
from service.http.problems import problems
from service.runs.dependencies import RunReaderDep
from service.runs.errors import RunNotFound
from service.runs.schemas import timestamp
from service.store.rows import Row

router = APIRouter(prefix="/v1/runs", tags=["runs"])
JSON = "application/json"


class FileView(BaseModel):
    """A file of tensors."""

    epoch: int
    sha256: str
    bytes: int
    written_at: str


class CheckpointView(FileView):
    """A run as it was at the end of an epoch, with its optimizer's state."""

    attempt: int
    digest: str = Field(description="The chained digest of the epoch.")


class WeightsFileView(FileView):
    """A model as it was after an epoch: parameters and buffers."""

    at: Literal["best", "last", "start"] = Field(description="start: what a warm start began with.")


class CheckpointList(BaseModel):
    """What is kept of a run's tensors."""

    object: Literal["list"] = "list"
    data: list[CheckpointView] = Field(description="Newest first; the last two are kept.")
    weights: list[WeightsFileView]


class LogLine(BaseModel):
    """Something that a worker said of a run."""

    id: int
    at: str
    attempt: int
    level: Literal["info", "warning", "error"]
    text: str

    @classmethod
    def of(cls, row: Row) -> LogLine:
        """The line as it is shown."""
        return cls(id=row.id, at=timestamp(row.at) or "", attempt=row.attempt, level=row.level, text=row.text)


class Log(BaseModel):
    """Lines of a run's log, oldest first."""

    object: Literal["list"] = "list"
    data: list[LogLine]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for what follows.")


@router.get(
    "/{run_id}/checkpoints",
    operation_id="list_checkpoints",
    response_model=CheckpointList,
    dependencies=[Depends(only())],
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def list_checkpoints(run_id: str, records: RunReaderDep) -> Response:
    """The checkpoints and weights that are kept of a run."""
    checkpoints, weights = records.files(run_id)

    def said(row: Row) -> dict[str, object]:
        names = ("epoch", "sha256", "bytes")
        return {**{name: getattr(row, name) for name in names}, "written_at": timestamp(row.written_at)}

    shown = CheckpointList.model_validate(
        {
            "data": [{**said(row), "attempt": row.attempt, "digest": row.digest} for row in checkpoints],
            "weights": [{**said(row), "at": row.at} for row in weights],
        }
    )
    return Response(shown.model_dump_json(), media_type=JSON)


@router.get(
    "/{run_id}/logs",
    operation_id="get_logs",
    response_model=Log,
    dependencies=[Depends(only("after", "limit"))],
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def get_logs(
    run_id: str,
    records: RunReaderDep,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Only lines behind this id.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What the workers said of a run: where and how it trains, what went wrong and why."""
    found = records.log(run_id, after=after, limit=limit + 1)
    lines = [LogLine.of(row) for row in found[:limit]]
    page = Log(data=lines, has_more=len(found) > limit, next_cursor=str(lines[-1].id) if lines else None)
    return Response(page.model_dump_json(), media_type=JSON)
