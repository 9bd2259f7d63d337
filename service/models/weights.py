"""The weights of runs' models: which file the database records, and the file itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import sqlalchemy as sa

from service.errors import SpecRefused, Unavailable
from service.models.errors import FileLost
from service.runs.errors import NoWeights, Sealed
from service.runs.queries import datasets, files, runs
from service.runs.saved_weights import At, availability
from service.runs.scope import ScopedRuns
from service.runs.submission.dataset_refs import content_of
from service.sandbox.predicting.messages import ModelFile, Split
from service.settings import Settings
from service.store.database import reading
from worker.digests import Digests, NotAsRecorded
from worker.ports import WeightsFile
from worker.spec.datasets import KINDS
from worker.spec.datasets.uploaded import ID, Uploaded, stored_as
from worker.spec.families.dataset import Dataset
from worker.spec.run import RunSpec

REPLACED_SECONDS = 5.0
"""Time for which reads are retried if better weights keep replacing the file between query and read."""


@dataclass(frozen=True, kw_only=True)
class ModelWeights:
    """The recorded weights of a run's best or last epoch."""

    run_id: str
    name: str | None
    at: At
    spec: Mapping[str, Any]
    spec_hash: str
    file: WeightsFile

    @property
    def title(self) -> str:
        """The run's name, or its id."""
        return self.name or self.run_id

    @property
    def advice_if_lost(self) -> str:
        """The end of the message that reports a lost file."""
        return (
            f"the weights of {self.run_id} ({self.at}, epoch {self.file.epoch}). Workers on other machines need a "
            "shared data directory or FITWELL_STORAGE_URL. To train the model again, POST the run's spec with "
            "?reuse=false."
        )


class StoredModels(ScopedRuns):
    """The weights of the runs that the caller may see."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._digests = Digests()
        self._files = settings.checkpoint_files

    def find(self, run_id: str, at: At) -> ModelWeights:
        """Return the recorded weights of a run's best or last epoch, without opening the file.

        Raises:
            RunNotFound: No run has this id.
            NoWeights: The run has no weights of this epoch.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            recorded = {file.at: file for file in files.weights_of(connection, row.reused_from or row.id)}
        if at not in recorded:
            others = [name for name in ("best", "last") if name in recorded]
            available = (
                f"; at={' and at='.join(others)} {'is' if len(others) == 1 else 'are'} available now" if others else ""
            )
            message = f"{run_id} is {row.status!r} and has no {_described(at)}: {availability(at, row)}{available}."
            raise NoWeights(message)
        common = {"name": row.name, "spec": row.spec, "spec_hash": row.spec_hash}
        return ModelWeights(run_id=row.id, at=at, file=recorded[at], **common)

    def check_unsealed(self, run_id: str, split: Split | None) -> None:
        """Check that the run's model may be used on rows of ``split``, or on a client's own rows if it is None.

        Raises:
            Sealed: They are test rows, and the run belongs to a tuned study whose choice is not frozen.
        """
        if split != "test":
            return
        with reading(self._engine) as connection:
            if runs.is_sealed(connection, run_id):
                message = (
                    f"{run_id} belongs to the search of a tuned study, whose test part is sealed until the choice is "
                    "frozen and its confirmation is queued. Use rows of split train or val."
                )
                raise Sealed(message)

    def check_rows(self, run_id: str, at: At, split: Split) -> ModelWeights:
        """Check that a split of a dataset has rows that may be used, and return the recorded weights.

        Raises:
            RunNotFound: No run has this id.
            NoWeights: The run has no weights of this epoch.
            SpecRefused: The split has no rows.
            Sealed: They are sealed test rows.
        """
        weights = self.find(run_id, at)
        dataset = RunSpec.of(weights.spec).dataset
        rows = {"train": dataset.training_rows, "val": dataset.validation_rows, "test": dataset.rows[1]}
        if not rows[split]:
            allowed = [name for name, count in rows.items() if count]
            message = f"The split {split!r} of {run_id} has no rows. Use {' or '.join(allowed)}."
            raise SpecRefused.at("split", "no_rows", message, allowed=allowed)
        self.check_unsealed(run_id, split)
        return weights

    def dataset(self, run_id: str, dataset: str, split: Split | None) -> Dataset:
        """Return a dataset by id or kind, on this machine, to evaluate a run's model on its ``split``.

        Raises:
            RunNotFound: No run has this id.
            SpecRefused: No dataset has this id or kind.
            Sealed: It is the run's own dataset, whose test rows are sealed.
            StorageUnavailable: The dataset is not on this machine, and the storage cannot be reached.
        """
        with reading(self._engine) as connection:
            own = RunSpec.of(self._row(connection, run_id).spec).dataset
            if ID.fullmatch(dataset):
                row = datasets.by_id(connection, dataset)
                if row is None:
                    message = f"Uploaded dataset {dataset!r} does not exist. Upload it with POST /v1/datasets."
                    raise SpecRefused.at("/dataset", "dataset_not_found", message)
                other: Any = Uploaded(id=dataset).resolved(content_of(row))
            elif dataset in KINDS and dataset != "uploaded":
                kind: Any = KINDS[dataset]
                other = kind()
            else:
                allowed = sorted(set(KINDS) - {"uploaded"})
                message = f"Unknown dataset {dataset!r}. Use the id of an upload, or one of {', '.join(allowed)}."
                raise SpecRefused.at("/dataset", "dataset_not_found", message, allowed=allowed)
        if (missing := other.missing(self._settings.datasets)) is not None and other.upload_id is None:
            raise SpecRefused.at("/dataset", "dataset_missing", missing)
        if other.digest() == own.digest():
            self.check_unsealed(run_id, split)
        if (stored := stored_as(other)) is not None:
            self._settings.upload_files.fetch(*stored)
        evaluated: Dataset = other
        return evaluated

    def reading_options(self, weights: ModelWeights) -> Mapping[str, Any]:
        """Return the options by which the run's dataset was read; empty if they are not stored."""
        dataset = RunSpec.of(weights.spec).dataset
        if dataset.upload_id is None:
            return {}
        with reading(self._engine) as connection:
            row = datasets.by_id(connection, dataset.upload_id)
        return {} if row is None else row.options or {}

    def weight_column(self, weights: ModelWeights) -> str | None:
        """Return the column with the weights of the rows of the run's dataset; None if it has none, or was deleted."""
        dataset = RunSpec.of(weights.spec).dataset
        if dataset.upload_id is None:
            return None
        with reading(self._engine) as connection:
            row = datasets.by_id(connection, dataset.upload_id)
        columns = [] if row is None or row.schema is None else row.schema["columns"]
        return next((column["name"] for column in columns if column["role"] == "weight"), None)

    def weights(self, run_id: str, at: At) -> tuple[ModelWeights, BufferedReader]:
        """Return the recorded weights, and their file.

        Raises:
            RunNotFound: No run has this id.
            NoWeights: The run has no weights of this epoch.
            FileLost: The file is missing or altered.
            Unavailable: The file was replaced during every attempt to read it.
            StorageUnavailable: The file is not on this machine, and the storage cannot be reached.
        """
        until = time.monotonic() + REPLACED_SECONDS
        while True:
            weights = self.find(run_id, at)
            try:
                self._files.fetch(weights.file.path, weights.file.sha256)
                return weights, self._digests.opened(self._files.home / weights.file.path, weights.file.sha256)
            except NotAsRecorded as error:
                if self.find(run_id, at).file == weights.file:
                    raise FileLost(f"The file {error}: {weights.advice_if_lost}") from error
                if time.monotonic() > until:
                    raise replaced_too_often(weights) from error

    def _fetch_files(self, weights: ModelWeights) -> None:
        """Fetch the weights and an uploaded dataset for the predictor process, which has no network access.

        Raises:
            StorageUnavailable: The files are not on this machine, and the storage cannot be reached.
        """
        self._files.fetch(weights.file.path, weights.file.sha256)
        stored = stored_as(RunSpec.of(weights.spec).dataset)
        if stored is not None:
            self._settings.upload_files.fetch(*stored)

    def _model_file(self, weights: ModelWeights) -> ModelFile:
        """Return the weights as the predictor process receives them."""
        path = str(self._files.home / weights.file.path)
        return ModelFile(spec=dict(weights.spec), spec_hash=weights.spec_hash, path=path, sha256=weights.file.sha256)


def replaced_too_often(weights: ModelWeights) -> Unavailable:
    """Return the error for a file that is replaced during every read."""
    return Unavailable(
        f"The weights of {weights.run_id} are replaced faster than they can be read. Try again, or use at=last once "
        "the run has ended.",
        headers={"retry-after": "1"},
    )


def _described(at: At) -> str:
    """Return the name of such weights in a message."""
    return "averaged weights" if at == "averaged" else f"weights of its {at} epoch"
