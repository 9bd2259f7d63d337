"""Routes that apply trained models to files and other datasets, and the importance of columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from io import BufferedReader
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.errors import (
    BadRequest,
    DataRefused,
    SpecRefused,
    TookTooLong,
    TooLarge,
    Unavailable,
    Unprocessable,
    WrongMediaType,
)
from service.http.bodies import FileBody, Unparsed
from service.http.body_stream import media_type, save_body
from service.http.conditional import etag, matches, not_modified
from service.http.dependencies import SettingsDep
from service.http.negotiation import preferred
from service.http.problems import problems
from service.http.routing import Route
from service.http.scopes import needs
from service.models.dependencies import FilesDep, ModelsDep
from service.models.errors import FileLost
from service.models.evaluation_schemas import EvaluateBody, EvaluationView, ImportanceView
from service.models.file_types import FILE_TYPES, OCTETS, PARQUET
from service.models.parameters import EvaluateParams, FileParams, ImportanceParams
from service.runs.errors import NotMeasured, NoWeights, RunNotFound, Sealed
from service.sandbox.predicting.messages import TableNotes

router = APIRouter(prefix="/v1/runs", tags=["models"], route_class=Route)
CHUNK_BYTES = 2**20
MAX_LISTED = 20
NOTE_HEADERS = {
    "missing": f"Rows without a value by column, as JSON: the {MAX_LISTED} columns with most; absent if none.",
    "unseen": f"Rows with an unseen text by column, as JSON: the {MAX_LISTED} columns with most; absent if none.",
}
"""Headers of a file with predictions, without their prefix."""
REFUSALS = (RunNotFound, NotMeasured, NoWeights, FileLost, SpecRefused, Unprocessable, Unavailable, TookTooLong)
BODY_REFUSALS = (*REFUSALS, BadRequest, TooLarge, WrongMediaType, DataRefused)
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILE_BODY = {
    "description": f"A file. Other accepted types: {', '.join(name for name in FILE_TYPES if name != OCTETS)}.",
    "content": {OCTETS: BINARY},
}
"""A request with a file, for the OpenAPI document; client generators know no other type than this."""


@router.post(
    "/{run_id}/predictions",
    operation_id="predict_file",
    response_class=Response,
    openapi_extra={**needs("read"), "requestBody": {"required": True, **FILE_BODY}},
    responses={
        200: {
            "description": "The rows, with columns of predictions.",
            "content": dict.fromkeys(("text/csv", PARQUET), BINARY),
            "headers": {
                f"fitwell-{name}": {"schema": {"type": "string"}, "description": text}
                for name, text in NOTE_HEADERS.items()
            },
        },
        **problems(*BODY_REFUSALS),
    },
)
async def predict_file(
    request: Request, run_id: str, query: FileParams, models: ModelsDep, files: FilesDep, settings: SettingsDep
) -> Response:
    """Return the rows of a file with predictions: the file's columns, `prediction`, and a probability of each class.

    The file has all columns that the model uses, in any order. `Accept` chooses CSV or Parquet; by default, Parquet is
    answered with Parquet and any other table with CSV. The headers `fitwell-missing` and `fitwell-unseen` count the
    rows that lack a value or have a text that the training rows lack, by column.
    """
    if media_type(request) not in FILE_TYPES:
        raise WrongMediaType(f"Content-Type {media_type(request)!r} is not supported; send {', '.join(FILE_TYPES)}.")
    default = PARQUET if FILE_TYPES[media_type(request)] == "parquet" else "text/csv"
    accepted = preferred(request.headers.get("accept", "*/*"), [default, "text/csv", PARQUET]) or default
    form: Literal["csv", "parquet"] = "parquet" if accepted == PARQUET else "csv"
    with models.scratch.directory() as directory:
        await save_body(request, directory.body, settings.max_upload_bytes)
        options = query.options(FILE_TYPES[media_type(request)])
        path, notes = await files.with_predictions(run_id, query.at, directory, options, form)
        file = path.open("rb")  # readable until it is closed, though its directory is deleted
    headers = {
        "content-disposition": f'attachment; filename="{run_id}-predictions.{form}"',
        "x-content-type-options": "nosniff",
        **_note_headers(notes),
    }
    return StreamingResponse(_chunks(file), 200, headers, accepted)


def _note_headers(notes: TableNotes) -> dict[str, str]:
    """Return the counts of missing and unseen values as headers: JSON in ASCII, of the columns with most of them."""
    headers = dict[str, str]()
    for name in NOTE_HEADERS:
        counts: dict[str, int] = getattr(notes, name)
        listed = dict(sorted(counts.items(), key=lambda item: -item[1])[:MAX_LISTED])
        headers |= {f"fitwell-{name}": json.dumps(listed)} if listed else {}
    return headers


def _chunks(file: BufferedReader) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@router.post(
    "/{run_id}/evaluate",
    operation_id="evaluate_run",
    response_model=EvaluationView,
    openapi_extra={**needs("read"), "requestBody": FILE_BODY},
    responses=problems(*BODY_REFUSALS, Sealed),
)
async def evaluate_run(
    request: Request,
    run_id: str,
    body: Annotated[Unparsed[EvaluateBody], Body()],
    query: EvaluateParams,
    models: ModelsDep,
    files: FilesDep,
    settings: SettingsDep,
) -> Response:
    """Return the model's metrics on another dataset, or on a file with the target's column, beside those of guessing.

    All classes of the rows must be classes of the model.
    """
    if isinstance(body, FileBody):
        with models.scratch.directory() as directory:
            await save_body(request, directory.body, settings.max_upload_bytes)
            options = query.options(FILE_TYPES[media_type(request)])
            evaluation = await files.evaluate_file(run_id, query.at, directory, options, query.target)
    else:
        parsed = body.parse()
        evaluation = await files.evaluate(run_id, query.at, parsed.dataset, parsed.split)
    return Response(EvaluationView.of(evaluation).model_dump_json(), media_type="application/json")


@router.get(
    "/{run_id}/importance",
    operation_id="get_importance",
    response_model=ImportanceView,
    responses={304: {"description": "The importance has not changed."}, **problems(*REFUSALS, Sealed)},
)
async def get_importance(
    request: Request, run_id: str, query: ImportanceParams, models: ModelsDep, files: FilesDep
) -> Response:
    """Return how much worse the model gets if the values of a column are permuted across rows, for each column.

    All features of a column move together. Columns that carry the same information share their importance: the model
    can do without one of them.
    """
    model = await run_in_threadpool(models.find, run_id, query.at)
    question = query.question()
    tag = etag("importance", version("fitwell"), run_id, model.file.sha256, query.at, question)
    if matches(request, tag):
        return not_modified(tag)
    measured = await files.importance(run_id, query.at, question)
    return Response(ImportanceView.of(measured).model_dump_json(), headers={"etag": tag}, media_type="application/json")
