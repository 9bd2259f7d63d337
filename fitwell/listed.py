"""Lists of a server's resources, fetched page by page when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pydantic import BaseModel

from fitwell import dataframes

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

T = TypeVar("T")


class Listed(Generic[T]):
    """A list that fetches a page when iteration or an index reaches it, and keeps what it has fetched.

    ``len`` and negative indices fetch all pages. ``next(listed)`` returns the items one after the other.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items, self._fetched, self._next = items, list[T](), 0

    def __iter__(self) -> Iterator[T]:
        index = 0
        while self._fetch(index + 1):
            yield self._fetched[index]
            index += 1

    def __next__(self) -> T:
        if not self._fetch(self._next + 1):
            raise StopIteration
        self._next += 1
        return self._fetched[self._next - 1]

    def __len__(self) -> int:
        self._fetch(None)
        return len(self._fetched)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        """Return an item, or a list of items."""
        if isinstance(index, slice):
            bounds = [bound for bound in (index.start, index.stop) if bound is not None]
            forwards = (index.step or 1) > 0 and all(bound >= 0 for bound in bounds)
            enough = index.stop if forwards else None
        else:
            enough = index + 1 if index >= 0 else None
        self._fetch(enough)
        return self._fetched[index]

    def __bool__(self) -> bool:
        return self._fetch(1)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._fetched)} fetched items>"

    def to_pandas(self) -> pd.DataFrame:
        """Return all items as a pandas data frame, indexed by their id: nested fields as ``spec.optimizer.lr``.

        Raises:
            NotInstalled: pandas is not installed.
        """
        columns = self.columns()
        return dataframes.pandas(columns, "id") if columns else dataframes.pandas({"id": []}, "id")

    def to_polars(self) -> pl.DataFrame:
        """Return all items as a polars data frame.

        Raises:
            NotInstalled: polars is not installed.
        """
        return dataframes.polars(self.columns())

    def columns(self) -> dict[str, list[Any]]:
        """Return the fields of all items as columns; None where an item lacks a field."""
        rows = [_flat(item.model_dump(mode="json") if isinstance(item, BaseModel) else item) for item in self]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}

    def _fetch(self, count: int | None) -> bool:
        """Fetch items until there are ``count``, None is all; return whether there are as many."""
        while count is None or len(self._fetched) < count:
            try:
                self._fetched.append(next(self._items))
            except StopIteration:
                return count is None
        return True


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the fields of a nested object by their dotted paths; lists stay values."""
    if not isinstance(value, dict):
        return {prefix.removesuffix("."): value}
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        flat |= _flat(inner, f"{prefix}{name}.")
    return flat
