"""Typed tables that come with the package: each is the file that an upload of its CSV file becomes.

They are split and prepared like uploads, and a later reader does not change them.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from worker.spec.families.dataset import Arrays, Task
from worker.spec.part import Objection
from worker.spec.references import Place
from worker.spec.tables import files
from worker.spec.tables.dataset import TableDataset
from worker.spec.tables.embedded import EmbeddedColumn
from worker.spec.tables.schema import TableSchema

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

FOLDER = Path(__file__).parents[1] / "datasets" / "files"


class BundledTable(TableDataset):
    """A typed table that is determined by its kind; ``<kind>.safetensors`` is its file."""

    classes: ClassVar[tuple[str, ...]] = ()
    rows: ClassVar[tuple[int, int]]
    is_table: ClassVar[bool] = True

    @classmethod
    def path(cls) -> Path:
        """Return the path of the file."""
        return FOLDER / f"{cls.model_fields['kind'].default}.safetensors"

    @classmethod
    @functools.cache
    def description(cls) -> dict[str, Any]:
        """Return the header of the file."""
        return files.read_header(cls.path())

    @classmethod
    @functools.cache
    def table_schema(cls) -> TableSchema:
        """Return the columns of the table."""
        return files.schema_of(cls.description())

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of features."""
        return (len(self.preparation.features(self.table_schema())),)

    @property
    def embedded(self) -> tuple[EmbeddedColumn, ...]:
        """The columns that the preparation embeds."""
        return self.preparation.embedded(self.table_schema())

    @property
    def task(self) -> Task:
        """Whether the target is a class or a number."""
        return "classification" if self.classes else "regression"

    @property
    def chronological(self) -> bool:
        """Whether rows are in order of time, and the last ones test."""
        return bool(self.description().get("order") == "time")

    @property
    def horizon(self) -> int:
        """Rows from the last known target to a row's own."""
        return int(self.description().get("horizon", 1))

    def placed_objections(self, run: RunSpec) -> Iterator[tuple[Place, Objection]]:
        """Yield objections to preparations of columns that the table does not have, or else all others."""
        of_columns = self.preparation.objections(self.table_schema())
        yield from ((("columns", *place), objection) for place, objection in of_columns)
        if not of_columns:
            yield from super().placed_objections(run)

    @classmethod
    @functools.cache
    def digest(cls) -> str:
        """Return the digest of the file."""
        return "sha256:" + hashlib.sha256(cls.path().read_bytes()).hexdigest()

    def target_name(self, home: Path) -> str | None:
        """Return the target's name in the header of the file."""
        name: str = self.description()["target"]
        return name

    def load(self, home: Path) -> Arrays:
        """Return the table; ``home`` is not used."""
        from safetensors.numpy import load_file

        return files.arrays_of(self.description(), load_file(self.path()))
