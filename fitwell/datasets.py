"""Datasets as the client sees them: upload a file, train on what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from fitwell.requests import Plan, Request, Telling, answered, pages, place, read
from fitwell.sync_async import Live, M, Resource, call, listing

FORMATS = {".csv": "csv", ".npz": "npz", ".parquet": "parquet", ".pq": "parquet", ".zip": "zip"}
PIECE_BYTES = 2**18
UPLOAD_SECONDS = 600.0


class UploadOptions(TypedDict, total=False):
    """How the server is to read a file; what is left out it finds out, and tells in ``notes``."""

    format: Literal["npz", "csv", "parquet", "zip"]
    target: str
    drop: Sequence[str]
    header: bool
    task: Literal["classification", "regression"]
    test_size: float
    order: Literal["random", "time"]
    seed: int
    grey: bool


class Dataset(Live[M]):
    """A dataset; ``spec`` is what a run's ``dataset`` says to train on it."""

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

    @call
    def preview(self) -> Plan[dict[str, Any]]:
        """First rows, class counts, statistics; of images, a picture of some."""
        preview: dict[str, Any] = yield from read(Request("GET", place("datasets", self.id, "preview")))
        return preview

    @call
    def delete(self) -> Plan[None]:
        """Forget it with its rows.

        Raises:
            DatasetInUse: runs that have not ended need it.
        """
        yield from answered(Request("DELETE", place("datasets", self.id)))


class Datasets(Resource[M]):
    """The datasets of a server."""

    @call
    def upload(
        self, path: str | os.PathLike[str], *, name: str | None = None, **options: Unpack[UploadOptions]
    ) -> Plan[Dataset[M]]:
        """Upload a .npz, CSV or Parquet file or a zip of image folders. Equal data are stored once.

        Raises:
            InvalidData: it is not data that can be trained on; ``errors`` says why.
        """
        file = Path(path)
        params: dict[str, Any] = {"name": file.stem if name is None else name}
        params |= {"format": FORMATS[file.suffix.lower()]} if file.suffix.lower() in FORMATS else {}
        params |= {key: _written(value) for key, value in options.items()}
        request = Request(
            "POST",
            "/v1/datasets",
            params,
            content=lambda: _pieces(file),
            headers={"content-type": "application/octet-stream"},
            timeout=UPLOAD_SECONDS,
        )
        return self._dataset((yield from read(request)))

    @call
    def get(self, dataset_id: str) -> Plan[Dataset[M]]:
        """One dataset: an upload by its id, a built-in one by its kind.

        Raises:
            DatasetNotFound: there is none of this id.
        """
        return self._dataset((yield from read(Request("GET", place("datasets", dataset_id)))))

    @listing
    def list(self) -> Telling[Dataset[M]]:
        """The built-in datasets, then uploads, newest first, page by page."""
        yield from pages("/v1/datasets", {"limit": 100}, self._dataset)

    def _dataset(self, data: Any) -> Dataset[M]:
        return Dataset.of(self._transport, data)


def _pieces(file: Path) -> Iterator[bytes]:
    """The file, a piece at a time."""
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def _written(value: Any) -> Any:
    """The value as a query writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return list(value) if isinstance(value, list | tuple) else value
