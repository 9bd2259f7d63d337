"""The field ``dataset.columns``: how each column of a table becomes features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from worker.spec.families.preparation import Preparation
from worker.spec.part import Objection, Spec
from worker.spec.preparations import AnyPreparation
from worker.spec.preparations.boolean import Boolean
from worker.spec.preparations.category import Category
from worker.spec.preparations.date import Date
from worker.spec.preparations.number import Number
from worker.spec.tables.embedded import EmbeddedColumn
from worker.spec.tables.schema import Column, TableSchema

MAX_FEATURES = 20_000
MAX_LISTED = 100
"""Most columns that an objection lists."""
Place = tuple[str, ...]


class Columns(Spec):
    """Preparation of a table's columns by type, and of single columns by name; fitted on the training rows."""

    number: Number = Field(default_factory=Number, description="Columns of numbers.")
    category: Category = Field(default_factory=Category, description="Columns of texts that repeat.")
    boolean: Boolean = Field(default_factory=Boolean, description="Columns of false and true.")
    date: Date = Field(default_factory=Date, description="Columns of dates or times.")
    by_name: dict[str, AnyPreparation] = Field(
        default={}, max_length=1000, description="Columns that are prepared in their own way; by name."
    )
    leave_out: tuple[str, ...] = Field(default=(), max_length=1000, description="Columns that the model does not use.")

    def of(self, column: Column) -> Preparation:
        """Return the preparation of a column."""
        preparation: Preparation = self.by_name.get(column.name) or getattr(self, column.type)
        return preparation

    def used(self, schema: TableSchema) -> tuple[Column, ...]:
        """Return the columns that the model uses."""
        return tuple(column for column in schema.columns if column.name not in self.leave_out)

    def features(self, schema: TableSchema) -> tuple[str, ...]:
        """Return the names of all features in order, (D,)."""
        return tuple(name for column in self.used(schema) for name in self.of(column).features(column))

    def embedded(self, schema: TableSchema) -> tuple[EmbeddedColumn, ...]:
        """Return the columns whose features a model replaces by trained vectors, in order."""
        embedded, begin = [], 0
        for column in self.used(schema):
            count, width = len(self.of(column).features(column)), self.of(column).vector_width(column)
            if count and width is not None:
                embedded.append(EmbeddedColumn(begin=begin, features=count, width=width))
            begin += count
        return tuple(embedded)

    def objections(self, schema: TableSchema) -> Sequence[tuple[Place, Objection]]:
        """Return objections to these preparations of a table, each with its place below ``columns``."""
        objections: list[tuple[Place, Objection]] = []
        for name, preparation in self.by_name.items():
            if name not in schema.by_name:
                objections.append((("by_name", name), _unknown(name, schema)))
            elif (kind := schema.by_name[name].type) != preparation.column_type:
                message = (
                    f"The column {name!r} is a {kind}, and {preparation.kind!r} prepares a {preparation.column_type}. "
                    "To read it as another type, change the dataset's types."
                )
                objections.append((("by_name", name), Objection(field=None, message=message, allowed=[kind])))
        objections += [
            (("leave_out", str(i)), _unknown(name, schema))
            for i, name in enumerate(self.leave_out)
            if name not in schema.by_name
        ]
        return objections or [*self._width_objections(schema), *self._size_objections(schema)]

    def _width_objections(self, schema: TableSchema) -> Iterator[tuple[Place, Objection]]:
        """Yield objections to vectors that are longer than the features in their place."""
        for column in self.used(schema):
            count, width = len(self.of(column).features(column)), self.of(column).vector_width(column)
            if width is None or width <= count:
                continue
            message = (
                f"The column {column.name!r} has {count} categories, and vectors of {width} numbers are longer than "
                f"that; use a width of at most {count} for this column (columns.by_name), or leave width out."
            )
            place = ("by_name", column.name) if column.name in self.by_name else ("category",)
            yield (*place, "width"), Objection(field=None, message=message)

    def _size_objections(self, schema: TableSchema) -> list[tuple[Place, Objection]]:
        if not self.used(schema):
            return [(("leave_out",), Objection(field=None, message="No column is left as an input."))]
        width = len(self.features(schema))
        if width <= MAX_FEATURES:
            return []
        most = f"at most {MAX_FEATURES:,} work. Lower category.max_levels."
        message = f"The columns become {width:,} features; {most}"
        return [(("category", "max_levels"), Objection(field=None, message=message))]


def _unknown(name: str, schema: TableSchema) -> Objection:
    names = [column.name for column in schema.columns]
    return Objection(field=None, message=f"The dataset has no column {name!r}.", allowed=names[:MAX_LISTED])
