"""What clients do with datasets. Every method is one transaction, but for the removal of a file, which is one more."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.callers import CallerScoped
from service.datasets import queries as datasets
from service.datasets.dataset import ALWAYS, Dataset, DatasetPage, Preview
from service.datasets.errors import DatasetInUse, DatasetNotFound, TooManyUploads
from service.datasets.incoming import Incoming, Place
from service.runs.housekeeping import left_over_since
from service.runs.pages import cursor, position
from service.runs.submission.quota import check_space
from service.sandbox import parser as confined
from service.sandbox.parsing.options import Limits, Options
from service.settings import Settings
from service.store.database import reading, writing
from service.store.rows import Row
from worker.spec.datasets import KINDS
from worker.spec.datasets.uploaded import ID, PREFIX, Uploaded, file_name
from worker.spec.families.dataset import Dataset as DatasetPart

RETRY_SECONDS = 2
SHOWN = 5
"""Runs that a refusal names."""


class Uploads(CallerScoped):
    """Datasets in one database and one directory, as the caller may see and delete them."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._files = settings.upload_files
        self._folder = self._files.home
        self._incoming = Incoming(self._folder)
        self._room = threading.BoundedSemaphore(settings.uploads_at_once)

    @contextlib.contextmanager
    def receiving(self) -> Iterator[Place]:
        """A place for one upload, gone with all that is in it when the block is left.

        Raises:
            TooManyUploads: as many as may be are received already.
            StorageFull: the disk is nearly full.
        """
        check_space(self._settings)
        if not self._room.acquire(blocking=False):
            raise TooManyUploads(
                f"{self._settings.uploads_at_once} uploads are being received, as many as this server takes at once "
                "(FITWELL_UPLOADS_AT_ONCE). Try again.",
                headers={"retry-after": str(RETRY_SECONDS)},
            )
        try:
            with self._incoming.place() as place:
                yield place
        finally:
            self._room.release()

    def add(self, place: Place, name: str | None, options: Options) -> tuple[Dataset, bool]:
        """The dataset that the file in ``place`` is; False where it was there already.

        Raises:
            DataRefused: it is no data that can be trained on.
            StorageUnavailable: it could not be put where the workers find it.
        """
        settings = self._settings
        limits = Limits(
            memory_bytes=settings.upload_memory_bytes,
            dataset_bytes=settings.max_dataset_bytes,
            seconds=settings.upload_seconds,
        )
        found = confined.read(place.path, options, limits)
        dataset_id = PREFIX + found.sha256
        place.note.write_text(found.sha256)
        try:
            # Before the lock, since it may take long; whoever deleted an equal upload meanwhile removed this as well.
            self._files.push(file_name(found.sha256), place.data)
            with writing(self._engine) as connection:
                datasets.lock_files(connection)
                if not self._files.holds(file_name(found.sha256)):
                    self._files.push(file_name(found.sha256), place.data)
                fresh = datasets.by_id(connection, dataset_id) is None
                if fresh:
                    who = {"id": dataset_id, "owner": self.caller.owner, "name": name}
                    datasets.insert(connection, {**who, **_columns(found)})
                # Equal bytes: where the file is there already, this mends it.
                place.data.replace(self._file(found.sha256))
                _sync(self._folder)
                return self._brought(connection, dataset_id), fresh
        except BaseException:
            with contextlib.suppress(sa.exc.DBAPIError):
                self._remove(found.sha256)
            raise

    def _file(self, sha256: str) -> Path:
        return self._folder / file_name(sha256)

    def _brought(self, connection: sa.Connection, dataset_id: str) -> Dataset:
        """The dataset that the caller has the file of; who brought it first, and its name, may be nobody else's."""
        row = datasets.by_id(connection, dataset_id)
        assert row is not None, f"{dataset_id} was there just now"
        there = Dataset.uploaded(row, self._settings)
        return there if self.caller.sees(row.owner) else replace(there, owner=None, name=None)

    def _row(self, connection: sa.Connection, dataset_id: str, *, lock: bool = False) -> Row:
        """The upload as it is stored, if the caller sees it."""
        row = datasets.by_id(connection, dataset_id, lock=lock)
        if row is None or not self.caller.sees(row.owner):
            raise _unknown(dataset_id)
        return row

    def get(self, dataset_id: str) -> Dataset:
        """One dataset: an upload, or by its kind one that is built in.

        Raises:
            DatasetNotFound: there is none of this id.
        """
        kinds = built_in()
        if dataset_id in kinds:
            return Dataset.built_in(kinds[dataset_id], self._settings)
        with reading(self._engine) as connection:
            return Dataset.uploaded(self._row(connection, dataset_id), self._settings)

    def page(self, *, limit: int, after: str | None) -> DatasetPage:
        """The built-in datasets by kind, then uploads, newest first.

        Raises:
            BadCursor: ``after`` is no cursor of a page.
        """
        created_at, last = (ALWAYS, "") if after is None else position(after)
        found: list[Dataset] = []
        if created_at == ALWAYS:
            found = [Dataset.built_in(part, self._settings) for kind, part in built_in().items() if kind > last]
        if len(found) <= limit:
            with reading(self._engine) as connection:
                before = None if created_at == ALWAYS else (created_at, last)
                more = datasets.page(connection, before=before, limit=limit + 1 - len(found), owner=self.caller.only)
            found += [Dataset.uploaded(row, self._settings) for row in more]
        shown, more_there = found[:limit], len(found) > limit
        return DatasetPage(shown, more_there, cursor(shown[-1].created_at, shown[-1].id) if more_there else None)

    def preview(self, dataset_id: str) -> Preview:
        """First rows, counts and statistics of an upload.

        Raises:
            DatasetNotFound: no upload has this id.
        """
        with reading(self._engine) as connection:
            self._row(connection, dataset_id)
            return Preview(dataset_id, datasets.preview(connection, dataset_id))

    def delete(self, dataset_id: str) -> None:
        """Forget an upload and its file. Runs that have ended keep their results, and cannot be trained on it again.

        Raises:
            DatasetNotFound: no upload has this id.
            NotOwner: it is another's.
            DatasetInUse: runs that have not ended need it.
        """
        if dataset_id in built_in():
            raise DatasetInUse(f"{dataset_id!r} is built in; only uploads can be deleted.")
        with self._incoming.place() as place:
            sha256 = dataset_id.removeprefix(PREFIX)
            with writing(self._engine) as connection:
                row = self._row(connection, dataset_id, lock=True)
                self.caller.check_owns(row.owner, f"The dataset {dataset_id}")
                needing = datasets.runs_that_need(connection, dataset_id, SHOWN)
                if needing:
                    raise DatasetInUse(f"Runs that have not ended need it: {', '.join(needing)}. Cancel them first.")
                datasets.delete(connection, dataset_id)
                place.note.write_text(sha256)
            self._remove(sha256)

    def _remove(self, sha256: str) -> None:
        """Remove the file of an upload, unless the upload is there: somebody may just have brought it anew."""
        with writing(self._engine, durable=False) as connection:
            datasets.lock_files(connection)
            if ID.fullmatch(PREFIX + sha256) and datasets.by_id(connection, PREFIX + sha256) is None:
                self._files.drop([file_name(sha256)])

    def clean(self) -> int:
        """Take away what servers left that died with uploads in hand; from how many."""
        return self._incoming.left(self._remove)

    def sweep_storage(self) -> None:
        """Remove what servers left in a bucket that never came back to clean; nothing where the directory is shared.

        Raises:
            StorageUnavailable: the bucket is out of reach.
        """
        for name in self._files.stored(left_over_since(self._settings)):
            sha256 = name.removesuffix(file_name(""))
            with reading(self._engine) as connection:
                named = datasets.by_id(connection, PREFIX + sha256) is not None
            if not named:
                self._remove(sha256)


def built_in() -> dict[str, DatasetPart]:
    """The datasets that are known by their kinds, with their defaults."""
    return {kind: part(kind=kind) for kind, part in KINDS.items() if part is not Uploaded}


def _columns(found: confined.Result) -> dict[str, Any]:
    """What is stored of a dataset, besides its id and name."""
    more = found.model_dump(mode="json", include={"format", "bytes", "notes", "preview"})
    return {**found.content.model_dump(mode="json"), **more}


def _unknown(dataset_id: str) -> DatasetNotFound:
    return DatasetNotFound(f"There is no dataset {dataset_id!r}. GET /v1/datasets lists those there are.")


def _sync(folder: Path) -> None:
    """See that renames in ``folder`` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
