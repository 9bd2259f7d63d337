"""The pages of datasets: the list, and one dataset with its columns, notes and warnings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from service.datasets.dataset import Dataset
from service.datasets.dependencies import UploadsDep
from service.datasets.schemas import DatasetPreview
from service.datasets.service import Uploads
from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.web.pages.runs import FRESH
from service.web.parameters import DatasetListQuery
from service.web.rendering import render

router = APIRouter(include_in_schema=False, route_class=Route)
PAGE = 50
MAX_COLUMNS = 500
"""Columns that the page of a dataset lists."""
MAX_CELLS = 12
"""Columns of the first rows."""


@router.get("/datasets")
def get_datasets(query: Annotated[DatasetListQuery, Query()], caller: CallerDep, uploads: UploadsDep) -> Response:
    """Render the list of datasets."""
    page = uploads.page(limit=PAGE, after=query.after or None)
    return HTMLResponse(
        render("datasets.html", caller=caller, section="datasets", page=page, after=query.after), headers=FRESH
    )


@router.get("/datasets/{dataset_id}")
def get_dataset(dataset_id: str, caller: CallerDep, uploads: UploadsDep) -> Response:
    """Render one dataset."""
    dataset = uploads.get(dataset_id)
    columns = dataset.columns or ()
    page = render(
        "dataset.html",
        caller=caller,
        section="datasets",
        dataset=dataset,
        columns=columns[:MAX_COLUMNS],
        more_columns=max(0, len(columns) - MAX_COLUMNS),
        preview=_preview(uploads, dataset),
        max_cells=MAX_CELLS,
        example=_example(dataset),
    )
    return HTMLResponse(page, headers=FRESH)


def _preview(uploads: Uploads, dataset: Dataset) -> DatasetPreview | None:
    """Return the preview of an upload."""
    return DatasetPreview.of(uploads.preview(dataset.id)) if dataset.source == "uploaded" else None


def _example(dataset: Dataset) -> dict[str, object]:
    """Return the spec of a small run on the dataset."""
    return {
        "dataset": dict(dataset.spec),
        "model": {"kind": "mlp", "hidden": [64]},
        "optimizer": {"kind": "adam", "lr": 0.001},
        "epochs": 50,
    }
