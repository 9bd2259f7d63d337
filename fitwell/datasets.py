"""Datasets: built-in ones and uploads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from fitwell.requests import Flow, ItemFlow, Request, api_path, fetch_json, paginate, send
from fitwell.sync_async import LiveView, Resource, TransportT, call, iterator

FORMATS = {".csv": "csv", ".npz": "npz", ".parquet": "parquet", ".pq": "parquet", ".zip": "zip"}
CHUNK_BYTES = 2**18
UPLOAD_TIMEOUT_SECONDS = 600.0


class UploadOptions(TypedDict, total=False):
    """How to read a file; the server detects omitted options and reports them in ``notes``."""

    format: Literal["npz", "csv", "parquet", "zip"]
    target: str
    drop: Sequence[str]
    header: bool
    task: Literal["classification", "regression"]
    test_size: float
    order: Literal["random", "time"]
    seed: int
    grey: bool


class Dataset(LiveView[TransportT]):
    """A dataset; ``spec`` is the value of ``dataset`` in a run's spec."""

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
    missing: str | None
    spec: dict[str, Any]
    test_openings: int = 0

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


class Datasets(Resource[TransportT]):
    """The collection of datasets."""

    @call
    def upload(
        self, path: str | os.PathLike[str], *, name: str | None = None, **options: Unpack[UploadOptions]
    ) -> Flow[Dataset[TransportT]]:
        """Upload a .npz, CSV or Parquet file or a zip of image folders. Identical data are stored once.

        Raises:
            InvalidData: The file contains no usable data; ``errors`` lists the reasons.
        """
        file = Path(path)
        params: dict[str, Any] = {"name": file.stem if name is None else name}
        params |= {"format": FORMATS[file.suffix.lower()]} if file.suffix.lower() in FORMATS else {}
        params |= {key: _query_value(value) for key, value in options.items()}
        request = Request(
            "POST",
            "/v1/datasets",
            params,
            content=lambda: _chunks(file),
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

    @iterator
    def list(self) -> ItemFlow[Dataset[TransportT]]:
        """Yield the built-in datasets, then uploads, newest first; fetches page by page."""
        yield from paginate("/v1/datasets", {"limit": 100}, self._from_data)

    def _from_data(self, data: Any) -> Dataset[TransportT]:
        return Dataset.of(self._transport, data)


def _chunks(file: Path) -> Iterator[bytes]:
    """Yield the file in chunks."""
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            yield chunk


def _query_value(value: Any) -> Any:
    """Return the value in the form of a query parameter."""
    if isinstance(value, bool):
        return str(value).lower()
    return list(value) if isinstance(value, list | tuple) else value
