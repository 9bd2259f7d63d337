"""Operations on datasets. Every method is one transaction; removing a file is a transaction of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.callers import CallerScoped
from service.datasets import queries as datasets
from service.datasets.bundled import columns_of
from service.datasets.dataset import ALWAYS, Dataset, DatasetPage, Preview, columns_in
from service.datasets.errors import DatasetInUse, DatasetNotFound, SourceMissing, TooManyUploads
from service.datasets.files import UploadFiles, digest_of, source_name
from service.datasets.incoming import Incoming, Place
from service.datasets.options import changed, stored
from service.runs.housekeeping import left_over_since
from service.runs.pages import cursor, position
from service.runs.submission.dataset_refs import COMMON_FACTS
from service.runs.submission.quota import check_space
from service.sandbox import parser
from service.sandbox.parsing.options import Limits, Options
from service.settings import Settings
from service.store import ledger
from service.store.database import reading, writing
from service.store.rows import Row
from worker.spec.datasets import KINDS
from worker.spec.datasets.uploaded import PREFIX, Uploaded, file_name
from worker.spec.families.dataset import Dataset as DatasetPart
from worker.spec.tables.bundled import BundledTable

RETRY_SECONDS = 2
EARLIER_UPLOAD = (
    "Equal data were uploaded before, from another file or with other options, and that upload stays as it is. To "
    "replace its file and options, delete the dataset first."
)
LISTED_RUNS = 5
"""Runs that an error message names."""


class Uploads(CallerScoped):
    """The datasets that the caller may see and delete, in one database and one directory."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._stored = UploadFiles(engine, settings.upload_files)
        self._incoming = Incoming(settings.upload_files.home)
        self._slots = threading.BoundedSemaphore(settings.uploads_at_once)

    @contextlib.contextmanager
    def receiving(self) -> Iterator[Place]:
        """Provide a directory for one upload; it is deleted on exit.

        Raises:
            TooManyUploads: The server receives its maximum number of uploads already.
            StorageFull: The disk is nearly full.
        """
        check_space(self._settings)
        if not self._slots.acquire(blocking=False):
            raise TooManyUploads(
                f"This server is receiving {self._settings.uploads_at_once} uploads, its maximum "
                "(FITWELL_UPLOADS_AT_ONCE). Try again.",
                headers={"retry-after": str(RETRY_SECONDS)},
            )
        try:
            with self._incoming.place() as place:
                yield place
        finally:
            self._slots.release()

    def add(self, place: Place, name: str | None, options: Options) -> tuple[Dataset, bool]:
        """Parse the file in ``place``, and return its dataset and whether it is new.

        Raises:
            DataRefused: The file is not a dataset that can be trained on.
            StorageUnavailable: The dataset could not be stored where workers find it.
        """
        return self._add(place, {"name": name}, options)

    def change(self, place: Place, dataset_id: str, patch: Mapping[str, Any]) -> tuple[Dataset, bool]:
        """Read the original file of an upload with changed options; return the dataset and whether it is new.

        The upload itself does not change. Only its owner may do this, as the file may have columns that were dropped.

        Args:
            place: An empty directory.
            dataset_id: The upload.
            patch: A merge patch (RFC 7396) of its options; null restores a default.

        Raises:
            DatasetNotFound: No upload has this id.
            NotOwner: The upload belongs to another owner.
            SourceMissing: The original file is not stored.
            DataRefused: With these options, the file is not a dataset that can be trained on.
            StorageUnavailable: A file could not be read or stored.
        """
        if dataset_id in built_in():
            raise SourceMissing(f"{dataset_id!r} is built in; only the options of uploads can be changed.")
        with reading(self._engine) as connection:
            row = self._row(connection, dataset_id)
        self.caller.check_owns(row.owner, f"The dataset {dataset_id}")
        if row.source_sha256 is None or not self._stored.copy_source(row.source_sha256, place.body):
            raise SourceMissing(
                f"The file that {dataset_id} was read from is not stored on this server. Upload it again with the "
                "options that you want (POST /v1/datasets)."
            )
        return self._add(place, {"name": row.name, "previous_id": dataset_id}, changed(row.options, patch))

    def _add(self, place: Place, fields: Mapping[str, Any], options: Options) -> tuple[Dataset, bool]:
        """Parse the file in ``place``, and store the dataset with these ``fields`` unless equal data exist."""
        result = parser.read(place.path, options, self._limits())
        source = digest_of(place.body) if self._settings.keep_sources else None
        reread = {"options": stored(options), "source_sha256": source}
        values = {**fields, **reread, **_columns(result), "id": PREFIX + result.sha256, "owner": self.caller.owner}
        files = {file_name(result.sha256): place.data}
        files |= {} if source is None else {source_name(source): place.body}
        place.note(files)
        try:
            # Pushed before taking the lock, as it may take long. Deleting an equal upload meanwhile removes this copy.
            self._stored.push(files)
            with writing(self._engine) as connection:
                datasets.lock_files(connection)
                row = datasets.by_id(connection, values["id"])
                if row is None:
                    datasets.insert(connection, values)
                elif row.source_sha256 is None and row.owner == self.caller.owner:
                    datasets.add_source(connection, row.id, reread)
                elif row.source_sha256 != source:
                    files = {file_name(result.sha256): place.data}
                self._stored.move(files)
                dataset = self._uploaded(connection, values)
        except BaseException:
            with contextlib.suppress(sa.exc.DBAPIError):
                self._remove(place.noted())
            raise
        if row is not None and row.source_sha256 is not None and not _same_reading(row, reread):
            dataset = replace(dataset, notes=[*dataset.notes, EARLIER_UPLOAD])
        if len(files) < len(place.noted()):  # equal data were read from another file
            self._remove(place.noted())
        return dataset, row is None

    def _limits(self) -> Limits:
        """Return the limits of the parser."""
        return Limits(
            memory_bytes=self._settings.upload_memory_bytes,
            dataset_bytes=self._settings.max_dataset_bytes,
            seconds=self._settings.upload_seconds,
        )

    def _uploaded(self, connection: sa.Connection, values: Mapping[str, Any]) -> Dataset:
        """Return the dataset that the caller uploaded; of an earlier private upload, only what the data say."""
        row = datasets.by_id(connection, values["id"])
        assert row is not None, f"{values['id']} was inserted in this transaction"
        dataset = Dataset.uploaded(row, self._settings)
        if self.caller.sees(row.owner):
            return dataset
        own = {name: values[name] for name in ("format", "notes", "warnings", "options")}
        return replace(dataset, owner=None, name=None, previous_id=None, columns=columns_in(values["schema"]), **own)

    def _row(self, connection: sa.Connection, dataset_id: str, *, lock: bool = False) -> Row:
        """Return the stored upload if the caller may see it."""
        row = datasets.by_id(connection, dataset_id, lock=lock)
        if row is None or not self.caller.sees(row.owner):
            raise _unknown(dataset_id)
        return row

    def get(self, dataset_id: str) -> Dataset:
        """Return an upload by id, or a built-in dataset by kind.

        Raises:
            DatasetNotFound: No dataset has this id.
        """
        kinds = built_in()
        with reading(self._engine) as connection:
            if dataset_id in kinds:
                dataset = _with_columns(Dataset.built_in(kinds[dataset_id], self._settings), kinds[dataset_id])
            else:
                dataset = Dataset.uploaded(self._row(connection, dataset_id), self._settings)
            return _with_openings(connection, [dataset])[0]

    def page(self, *, limit: int, after: str | None) -> DatasetPage:
        """Return a page of datasets: the built-in ones by kind, then uploads, newest first.

        Raises:
            BadCursor: ``after`` is not the cursor of a page.
        """
        created_at, last = (ALWAYS, "") if after is None else position(after)
        listed: list[Dataset] = []
        if created_at == ALWAYS:
            listed = [Dataset.built_in(part, self._settings) for kind, part in built_in().items() if kind > last]
        with reading(self._engine) as connection:
            if len(listed) <= limit:
                before = None if created_at == ALWAYS else (created_at, last)
                rows = datasets.page(connection, before=before, limit=limit + 1 - len(listed), owner=self.caller.only)
                listed += [Dataset.uploaded(row, self._settings) for row in rows]
            page, has_more = _with_openings(connection, listed[:limit]), len(listed) > limit
        return DatasetPage(page, has_more, cursor(page[-1].created_at, page[-1].id) if has_more else None)

    def preview(self, dataset_id: str) -> Preview:
        """Return the first rows, counts and statistics of an upload.

        Raises:
            DatasetNotFound: No upload has this id.
        """
        with reading(self._engine) as connection:
            self._row(connection, dataset_id)
            return Preview(dataset_id, datasets.preview(connection, dataset_id))

    def delete(self, dataset_id: str) -> None:
        """Delete an upload and its file. Ended runs keep their results, but cannot be trained again.

        Raises:
            DatasetNotFound: No upload has this id.
            NotOwner: The upload belongs to another owner.
            DatasetInUse: Runs that have not ended need the upload, or the dataset is built in.
        """
        if dataset_id in built_in():
            raise DatasetInUse(f"{dataset_id!r} is built in; only uploads can be deleted.")
        with self._incoming.place() as place:
            with writing(self._engine) as connection:
                row = self._row(connection, dataset_id, lock=True)
                self.caller.check_owns(row.owner, f"The dataset {dataset_id}")
                needing = datasets.runs_that_need(connection, dataset_id, LISTED_RUNS)
                if needing:
                    raise DatasetInUse(f"Active runs use the dataset: {', '.join(needing)}. Cancel them first.")
                datasets.delete(connection, dataset_id)
                source = [] if row.source_sha256 is None else [source_name(row.source_sha256)]
                place.note([file_name(dataset_id.removeprefix(PREFIX)), *source])
            self._remove(place.noted())

    def _remove(self, names: Sequence[str]) -> None:
        """Remove those of the files that no dataset refers to; equal data may have been uploaded again."""
        self._stored.remove(names)

    def clean(self) -> int:
        """Remove the leftovers of servers that died during uploads, and return the number of such uploads."""
        return self._incoming.clean(self._remove)

    def sweep_storage(self) -> None:
        """Remove files from the bucket that belong to no upload; no effect without a bucket.

        Raises:
            StorageUnavailable: The bucket cannot be reached.
        """
        for name in self._stored.unreferenced(left_over_since(self._settings)):
            self._remove([name])


def _same_reading(row: Row, reread: Mapping[str, Any]) -> bool:
    """Return whether a dataset was read from this file with these options."""
    return (row.options or {}) == reread["options"] and reread["source_sha256"] in (None, row.source_sha256)


def _with_openings(connection: sa.Connection, listed: Sequence[Dataset]) -> list[Dataset]:
    """Return the datasets with the numbers of studies that have judged on their test parts."""
    openings = ledger.openings(connection, [dataset.digest for dataset in listed])
    return [replace(dataset, test_openings=openings[dataset.digest]) for dataset in listed]


def _with_columns(dataset: Dataset, part: DatasetPart) -> Dataset:
    """Return a built-in dataset with its columns, if it is a table."""
    return replace(dataset, columns=columns_of(type(part))) if isinstance(part, BundledTable) else dataset


def built_in() -> dict[str, DatasetPart]:
    """Return the built-in datasets with their defaults, by kind."""
    return {kind: part(kind=kind) for kind, part in KINDS.items() if part is not Uploaded}


def _columns(result: parser.Result) -> dict[str, Any]:
    """Return the columns of a dataset besides its id, owner and name."""
    common = result.model_dump(mode="json", include={"format", "bytes", "notes", "warnings", "preview"})
    content = result.content.model_dump(mode="json", include=set(COMMON_FACTS))
    facts = result.content.model_dump(mode="json", exclude=set(COMMON_FACTS))
    schema = None if result.table is None else result.table.model_dump(mode="json")
    return {"order": result.content.order, **content, **common, "schema": schema, "facts": facts or None}


def _unknown(dataset_id: str) -> DatasetNotFound:
    return DatasetNotFound(f"No dataset has the id {dataset_id!r}. GET /v1/datasets lists all datasets.")
