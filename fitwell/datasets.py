"""Datasets: built-in ones and uploads."""

from __future__ import annotations

from typing import Any, Unpack

from pydantic import Field

from fitwell.notebook import card
from fitwell.reading_options import OptionChanges, UploadOptions, body, query
from fitwell.requests import Flow, ItemFlow, Request, api_path, fetch_json, paginate, send
from fitwell.sync_async import LiveView, Resource, TransportT, call, listing
from fitwell.table_columns import Column, ColumnTable
from fitwell.upload_content import Data, upload_of

UPLOAD_TIMEOUT_SECONDS = 600.0


class Dataset(LiveView[TransportT]):
    """A dataset; ``spec`` is the value of ``dataset`` in a run's spec. Notebooks display its columns."""

    summary_fields = ("id", "name", "task", "rows_train", "rows_test")
    id: str
    source: str
    name: str | None
    task: str
    shape: list[int]
    classes: list[str] | None
    rows_train: int
    rows_test: int
    order: str
    notes: list[str]
    warnings: list[str] = Field(default=[])
    columns: list[Column] | None = None
    options: dict[str, Any] | None = None
    previous_id: str | None = None
    missing: str | None
    spec: dict[str, Any]
    test_openings: int = 0

    @call
    def describe(self) -> Flow[ColumnTable]:
        """Return the columns of a table with type, role, statistics and notes; no rows for images and arrays."""
        columns = self.columns
        if columns is None:  # as in lists
            columns = Dataset.model_validate(
                (yield from fetch_json(Request("GET", api_path("datasets", self.id))))
            ).columns
        return ColumnTable(dataset=self.name or self.id, rows=columns or [])

    @call
    def update(self, **options: Unpack[OptionChanges]) -> Flow[Dataset[TransportT]]:
        """Read the uploaded file again with changed options, and return the dataset; this one does not change.

        None restores the default of an option, and omitted options stay: ``dataset.update(types={"zip": "category"})``.

        Raises:
            SourceMissing: The uploaded file is not stored on the server, or the dataset is built in.
            InvalidData: With these options, the file contains no usable data; ``errors`` lists the reasons.
        """
        path = api_path("datasets", self.id)
        request = Request("PATCH", path, json=body(options), timeout=UPLOAD_TIMEOUT_SECONDS)
        return Dataset.of(self._transport, (yield from fetch_json(request)))

    @call
    def preview(self) -> Flow[dict[str, Any]]:
        """Return first rows, class counts and statistics, and sample images for image data."""
        preview: dict[str, Any] = yield from fetch_json(Request("GET", api_path("datasets", self.id, "preview")))
        return preview

    @call
    def delete(self) -> Flow[None]:
        """Delete an upload.

        Raises:
            DatasetInUse: Unfinished runs use the dataset, or it is built in.
        """
        yield from send(Request("DELETE", api_path("datasets", self.id)))

    def _repr_html_(self) -> str:
        shape = "×".join(map(str, self.shape))
        facts = f"{self.rows_train:,} + {self.rows_test:,} rows of {shape}, {self.task}"
        table = ColumnTable(dataset=self.name or self.id, rows=self.columns or [])
        return card(self.name, self.id, facts, *([table._repr_html_()] if self.columns else []))


class Datasets(Resource[TransportT]):
    """The collection of datasets."""

    @call
    def upload(
        self, data: Data, *, name: str | None = None, **options: Unpack[UploadOptions]
    ) -> Flow[Dataset[TransportT]]:
        """Upload a table (CSV, Parquet, Arrow, Excel, ARFF), arrays (.npz, .npy), or a zip of image folders.

        ``data`` is a path or a file open in binary mode; a data frame of pandas, without its index, or of polars; a
        mapping of arrays such as ``{"x_train": …, "y_train": …, "x_test": …, "y_test": …}``; or a tuple ``(x, y)`` of
        arrays. Identical data are stored once. ``describe()`` of the result says how each column was read, and
        ``update()`` changes that.

        Raises:
            InvalidData: The data are not usable; ``errors`` lists the reasons.
            NotInstalled: A data frame of pandas, without pyarrow.
            TypeError: ``data`` is of another type.
        """
        upload = upload_of(data)
        named = upload.name if name is None else name
        params: dict[str, Any] = {"name": named} if named else {}
        params |= {"format": upload.format} if upload.format is not None else {}
        params |= query(options)
        request = Request(
            "POST",
            "/v1/datasets",
            params,
            content=upload.content,
            headers={"content-type": "application/octet-stream"},
            timeout=UPLOAD_TIMEOUT_SECONDS,
        )
        return self._from_data((yield from fetch_json(request)))

    @call
    def get(self, dataset_id: str) -> Flow[Dataset[TransportT]]:
        """Return an upload by its id, or a built-in dataset by its kind.

        Raises:
            DatasetNotFound: No dataset has this id or kind.
        """
        return self._from_data((yield from fetch_json(Request("GET", api_path("datasets", dataset_id)))))

    @listing
    def list(self) -> ItemFlow[Dataset[TransportT]]:
        """Yield the built-in datasets, then uploads, newest first; fetches page by page."""
        yield from paginate("/v1/datasets", {"limit": 100}, self._from_data)

    def _from_data(self, data: Any) -> Dataset[TransportT]:
        return Dataset.of(self._transport, data)
