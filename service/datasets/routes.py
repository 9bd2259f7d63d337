"""Routes of datasets: upload, list, read, preview, delete."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.datasets.bodies import OptionsBody, pointing_into_body
from service.datasets.dependencies import UploadsDep
from service.datasets.errors import DatasetInUse, DatasetNotFound, SourceMissing, TooManyUploads, WrongFileType
from service.datasets.parameters import UploadParams
from service.datasets.schemas import DatasetList, DatasetPreview, DatasetView
from service.datasets.upload_bodies import content_format, file_of, save
from service.errors import (
    BadCursor,
    BadRequest,
    DataRefused,
    NotOwner,
    SpecRefused,
    StorageFull,
    TooLarge,
    Unavailable,
    WrongMediaType,
)
from service.http.bodies import JsonBody
from service.http.dependencies import SettingsDep
from service.http.parameters import PageParams
from service.http.problems import problems
from service.http.routing import Route

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], route_class=Route)
EXAMPLE = "width,height,kind\n1.4,0.2,a\n4.7,1.4,b\n1.3,0.3,a\n4.9,1.5,b\n"


@router.post(
    "",
    operation_id="upload_dataset",
    status_code=201,
    openapi_extra=file_of(EXAMPLE),
    responses={
        200: {"model": DatasetView, "description": "Equal data exist already, perhaps under another name."},
        **problems(
            BadRequest, TooLarge, WrongFileType, SpecRefused, DataRefused, TooManyUploads, Unavailable, StorageFull
        ),
    },
)
async def upload_dataset(
    request: Request, query: UploadParams, uploads: UploadsDep, settings: SettingsDep, response: Response
) -> DatasetView:
    """Upload a data file: a table (CSV, Parquet, Arrow, Excel, ARFF), arrays (`.npz`, `.npy`), or a zip of images.

    The body is the file itself: `curl --data-binary @wine.csv -H 'Content-Type: text/csv'`. The server detects what no
    parameter says; `notes` and the `columns` of the response report it. A `.npz` holds `x` and `y`, or `x_train`,
    `y_train`, `x_test`, `y_test`; images are uint8 (rows, H, W) or (rows, H, W, 3). A zip holds `CLASS/*.png` (or
    JPEG), or `train/CLASS/…` and `test/CLASS/…`, or one table. A dataset's id is derived from its content, so uploading
    the same file again changes nothing.
    """
    with uploads.receiving() as place:
        await save(request, place.body, settings.max_upload_bytes)
        options = query.options(content_format(request))
        dataset, fresh = await run_in_threadpool(uploads.add, place, query.name, options)
    response.status_code = 201 if fresh else 200
    response.headers["location"] = f"/v1/datasets/{dataset.id}"
    return DatasetView.of(dataset)


@router.get("", operation_id="list_datasets", responses=problems(BadCursor, SpecRefused, Unavailable))
def list_datasets(query: PageParams, uploads: UploadsDep) -> DatasetList:
    """List the built-in datasets, with the command that downloads missing ones, then uploads, newest first."""
    return DatasetList.of(uploads.page(limit=query.limit, after=query.after))


@router.get("/{dataset_id}", operation_id="get_dataset", responses=problems(DatasetNotFound, SpecRefused, Unavailable))
def get_dataset(dataset_id: str, uploads: UploadsDep) -> DatasetView:
    """Return one dataset: of a table, each column with its type, role, statistics and how it was read."""
    return DatasetView.of(uploads.get(dataset_id))


@router.patch(
    "/{dataset_id}",
    operation_id="change_dataset",
    status_code=201,
    responses={
        200: {"model": DatasetView, "description": "Equal data exist already, perhaps under another name."},
        **problems(
            *(BadRequest, NotOwner, DatasetNotFound, SourceMissing, TooLarge, WrongMediaType, SpecRefused, DataRefused),
            *(TooManyUploads, Unavailable, StorageFull),
        ),
    },
)
def change_dataset(
    dataset_id: str, body: JsonBody[OptionsBody], uploads: UploadsDep, response: Response
) -> DatasetView:
    """Read the uploaded file again with other options, as a new dataset.

    The body is a merge patch (RFC 7396) of the dataset's `options`: omitted options stay, and null restores a default.
    The dataset itself does not change, nor do its runs; `previous_id` of the new one names it. Only the owner can do
    this. The server stores uploaded files for it unless `FITWELL_KEEP_SOURCES` is off.
    """
    with uploads.receiving() as place:
        try:
            dataset, is_new = uploads.change(place, dataset_id, body.patch())
        except DataRefused as refusal:
            raise pointing_into_body(refusal) from refusal
    response.status_code = 201 if is_new else 200
    response.headers["location"] = f"/v1/datasets/{dataset.id}"
    return DatasetView.of(dataset)


@router.get(
    "/{dataset_id}/preview",
    operation_id="preview_dataset",
    responses=problems(DatasetNotFound, SpecRefused, Unavailable),
)
def preview_dataset(dataset_id: str, uploads: UploadsDep) -> DatasetPreview:
    """Preview an upload: first rows, class counts and statistics, or some images of each class."""
    return DatasetPreview.of(uploads.preview(dataset_id))


@router.delete(
    "/{dataset_id}",
    operation_id="delete_dataset",
    status_code=204,
    responses=problems(DatasetNotFound, DatasetInUse, SpecRefused, Unavailable),
)
def delete_dataset(dataset_id: str, uploads: UploadsDep) -> None:
    """Delete an upload with its rows.

    Finished runs keep their history, weights and reports. What needs the rows (a new run on them, a retry, predictions
    of test rows) is refused until the same file is uploaded again; it gets the same id.
    """
    uploads.delete(dataset_id)
