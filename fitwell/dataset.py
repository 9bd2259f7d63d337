"""Datasets as the client sees them: upload a file, train on what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import httpx2
from pydantic import PrivateAttr

from fitwell.run import View
from fitwell.transport import Transport

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


class Dataset(View):
    """A dataset; ``spec`` is what a run's ``dataset`` says to train on it."""

    id: str
    source: str
    name: str | None
    task: str
    shape: list[int]
    classes: list[str]
    rows_train: int
    rows_test: int
    order: str
    notes: list[str]
    missing: str | None
    spec: dict[str, Any]
    _transport: Transport = PrivateAttr()

    @classmethod
    def read(cls, transport: Transport, data: Any) -> Dataset:
        """The dataset in an answer."""
        dataset = cls.model_validate(data)
        dataset._transport = transport
        return dataset

    def preview(self) -> dict[str, Any]:
        """First rows, class counts, statistics; of images, a picture of some."""
        preview: dict[str, Any] = self._transport.request("GET", f"/v1/datasets/{self.id}/preview").json()
        return preview

    def delete(self) -> None:
        """Forget it with its rows.

        Raises:
            Conflict: runs that have not ended need it.
        """
        self._transport.request("DELETE", f"/v1/datasets/{self.id}")


class Datasets:
    """The datasets of a server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self, path: str | os.PathLike[str], *, name: str | None = None, **options: Unpack[UploadOptions]
    ) -> Dataset:
        """Upload a .npz, CSV or Parquet file or a zip of image folders. Equal data are stored once.

        Raises:
            BadRequest: it is not data that can be trained on; ``errors`` says why.
        """
        file = Path(path)
        params: dict[str, Any] = {"name": file.stem if name is None else name}
        params |= {"format": FORMATS[file.suffix.lower()]} if file.suffix.lower() in FORMATS else {}
        params |= {key: _written(value) for key, value in options.items()}
        headers = {"content-type": "application/octet-stream"}
        answer: httpx2.Response = self._transport.request(
            "POST",
            "/v1/datasets",
            params=params,
            content=lambda: _pieces(file),
            headers=headers,
            timeout=UPLOAD_SECONDS,
        )
        return Dataset.read(self._transport, answer.json())

    def get(self, dataset_id: str) -> Dataset:
        """One dataset: an upload by its id, a built-in one by its kind.

        Raises:
            NotFound: there is none of this id.
        """
        return Dataset.read(self._transport, self._transport.request("GET", f"/v1/datasets/{dataset_id}").json())

    def list(self) -> Iterator[Dataset]:
        """The built-in datasets, then uploads, newest first, page by page."""
        params: dict[str, Any] = {"limit": 100}
        while True:
            page = self._transport.request("GET", "/v1/datasets", params=params).json()
            for data in page["data"]:
                yield Dataset.read(self._transport, data)
            if not page["has_more"]:
                return
            params["after"] = page["next_cursor"]


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
