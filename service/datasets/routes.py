"""Routes of datasets: upload, list, read, preview, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.datasets.dependencies import UploadsDep
from service.datasets.errors import DatasetInUse, DatasetNotFound, TooManyUploads, WrongFileType
from service.datasets.schemas import DatasetList, DatasetPreview, DatasetView
from service.datasets.upload_bodies import PARAMETERS, OptionsOf, file_of, save
from service.errors import BadCursor, BadRequest, DataRefused, SpecRefused, StorageFull, TooLarge, Unavailable
from service.http.dependencies import SettingsDep, only
from service.http.names import PLAIN
from service.http.problems import problems

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
JSON = "application/json"
EXAMPLE = "width,height,kind\n1.4,0.2,a\n4.7,1.4,b\n1.3,0.3,a\n4.9,1.5,b\n"
Title = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=PLAIN)]


@router.post(
    "",
    operation_id="upload_dataset",
    status_code=201,
    response_model=DatasetView,
    dependencies=[Depends(only(*PARAMETERS))],
    openapi_extra=file_of(EXAMPLE),
    responses={
        200: {"model": DatasetView, "description": "Equal data are there already, perhaps under another name."},
        **problems(
            BadRequest, TooLarge, WrongFileType, SpecRefused, DataRefused, TooManyUploads, Unavailable, StorageFull
        ),
    },
)
async def upload_dataset(
    request: Request,
    uploads: UploadsDep,
    settings: SettingsDep,
    options: OptionsOf,
    name: Annotated[Title | None, Query(description="For people.")] = None,
) -> Response:
    """Take a file of data: `.npz`, CSV, Parquet, or a zip of image folders.

    A `.npz` holds `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test`; images are uint8 (rows, H, W) or
    (rows, H, W, 3). A zip holds `CLASS/*.png` (or JPEG), or `train/CLASS/…` and `test/CLASS/…`, all of one size. The
    body is the file itself: `curl --data-binary @wine.csv -H 'Content-Type: text/csv'`. What comes of it is named by
    its content, so that sending the same once more changes nothing.
    """
    with uploads.receiving() as place:
        await save(request, place.body, settings.max_upload_bytes)
        dataset, fresh = await run_in_threadpool(uploads.add, place, name, options)
    headers = {"location": f"/v1/datasets/{dataset.id}"}
    return Response(DatasetView.of(dataset).model_dump_json(), 201 if fresh else 200, headers, JSON)


@router.get(
    "",
    operation_id="list_datasets",
    response_model=DatasetList,
    dependencies=[Depends(only("limit", "after"))],
    responses=problems(BadCursor, SpecRefused, Unavailable),
)
def list_datasets(
    uploads: UploadsDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Response:
    """The built-in datasets, with the command that gets those that are not there, then uploads, newest first."""
    return Response(DatasetList.of(uploads.page(limit=limit, after=after)).model_dump_json(), media_type=JSON)


@router.get(
    "/{dataset_id}",
    operation_id="get_dataset",
    response_model=DatasetView,
    dependencies=[Depends(only())],
    responses=problems(DatasetNotFound, SpecRefused, Unavailable),
)
def get_dataset(dataset_id: str, uploads: UploadsDep) -> Response:
    """One dataset."""
    return Response(DatasetView.of(uploads.get(dataset_id)).model_dump_json(), media_type=JSON)


@router.get(
    "/{dataset_id}/preview",
    operation_id="preview_dataset",
    response_model=DatasetPreview,
    dependencies=[Depends(only())],
    responses=problems(DatasetNotFound, SpecRefused, Unavailable),
)
def preview_dataset(dataset_id: str, uploads: UploadsDep) -> Response:
    """What an upload looks like: first rows, class counts, statistics; of images, some of each class."""
    return Response(DatasetPreview.of(uploads.preview(dataset_id)).model_dump_json(), media_type=JSON)


@router.delete(
    "/{dataset_id}",
    operation_id="delete_dataset",
    status_code=204,
    dependencies=[Depends(only())],
    responses=problems(DatasetNotFound, DatasetInUse, SpecRefused, Unavailable),
)
def delete_dataset(dataset_id: str, uploads: UploadsDep) -> Response:
    """Forget an upload with its rows.

    Runs that have ended keep their history, weights and reports. What needs the rows (a new run on them, a retry,
    predictions of test rows) is refused until the same file is uploaded once more: it gets the same id.
    """
    uploads.delete(dataset_id)
    return Response(status_code=204)
