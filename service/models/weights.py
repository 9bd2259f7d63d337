"""Which file holds a run's model, as the database has it, and the file itself."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Literal

import sqlalchemy as sa

from service.errors import Unavailable
from service.models.errors import FileLost
from service.runs.errors import NotMeasured
from service.runs.queries import files
from service.runs.scope import ScopedRuns
from service.sandbox.predicting.messages import ModelFile
from service.settings import Settings
from service.store.database import reading
from worker.digests import Digests, NotAsRecorded
from worker.ports import WeightsFile
from worker.spec.datasets.uploaded import stored_as
from worker.spec.run import RunSpec

At = Literal["best", "last"]
REPLACED_SECONDS = 5.0
"""Better weights may replace a file between the look into the database and the look at the disk, again and again."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A run's model as it was after some epoch."""

    run_id: str
    name: str | None
    at: At
    spec: Mapping[str, Any]
    spec_hash: str
    file: WeightsFile

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.run_id

    def told(self) -> str:
        """What to say when its file is lost."""
        return (
            f"the weights of {self.run_id} (of its {self.at} epoch, {self.file.epoch}). Where workers run on other "
            "machines they need a shared data directory, or FITWELL_STORAGE_URL. POST the run's spec with ?reuse=false "
            "to train it anew."
        )


class KeptModels(ScopedRuns):
    """The models of runs in one database, as far as the caller may see them."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._digests = Digests()
        self._files = settings.checkpoint_files

    def find(self, run_id: str, at: At) -> Kept:
        """The model of a run's best or last epoch, by name only.

        Raises:
            RunNotFound: there is no run of this id.
            NotMeasured: no such weights are recorded.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            known = {file.at: file for file in files.weights_of(connection, row.reused_from or row.id)}
        if at not in known:
            raise NotMeasured(
                f"{run_id} is {row.status!r} and has no weights of its {at} epoch: {_when(at, set(known))}."
            )
        same = {"name": row.name, "spec": row.spec, "spec_hash": row.spec_hash}
        return Kept(run_id=row.id, at=at, file=known[at], **same)

    def weights(self, run_id: str, at: At) -> tuple[Kept, BufferedReader]:
        """The same, and its file.

        Raises:
            RunNotFound, NotMeasured: as above.
            FileLost: the file is missing, or is not what was written.
            Unavailable: it was replaced whenever it was to be read.
            StorageUnavailable: it is not here, and where it may be is out of reach.
        """
        until = time.monotonic() + REPLACED_SECONDS
        while True:
            kept = self.find(run_id, at)
            try:
                self._files.fetch(kept.file.path, kept.file.sha256)
                return kept, self._digests.opened(self._files.home / kept.file.path, kept.file.sha256)
            except NotAsRecorded as error:
                if self.find(run_id, at).file == kept.file:
                    raise FileLost(f"The file {error}: {kept.told()}") from error
                if time.monotonic() > until:
                    raise replaced(kept) from error

    def _bring(self, kept: Kept) -> None:
        """See that the limited process, which knows no network, will find the weights, and rows that were uploaded.

        Raises:
            StorageUnavailable: they are not here, and where they may be is out of reach.
        """
        self._files.fetch(kept.file.path, kept.file.sha256)
        stored = stored_as(RunSpec.of(kept.spec).dataset)
        if stored is not None:
            self._settings.upload_files.fetch(*stored)

    def _model_file(self, kept: Kept) -> ModelFile:
        """What the limited process is told of it."""
        path = str(self._files.home / kept.file.path)
        return ModelFile(spec=dict(kept.spec), spec_hash=kept.spec_hash, path=path, sha256=kept.file.sha256)


def replaced(kept: Kept) -> Unavailable:
    """What to say where a file is never the same for long enough."""
    return Unavailable(
        f"The weights of {kept.run_id} are replaced faster than they can be read. Try again, or at=last when it ended.",
        headers={"retry-after": "1"},
    )


def _when(at: At, known: Collection[str]) -> str:
    """When a run has such weights, and what could be asked for meanwhile."""
    if at == "last":
        return "a run has them when it has ended" + ("; at=best works already" if "best" in known else "")
    when = "a run whose loss is measured on held-out data has them as soon as they are first saved"
    return when + ("; at=last works" if "last" in known else "")
