"""Tables for pandas and polars, which are extras: ``pip install 'fitwell[pandas]'``, ``'fitwell[polars]'``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fitwell.errors import NotInstalled

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Columns = Mapping[str, Sequence[Any]]


def pandas(columns: Columns, index: str) -> pd.DataFrame:
    """The columns as a pandas table.

    Raises:
        NotInstalled: there is no pandas.
    """
    frame: pd.DataFrame = _module("pandas").DataFrame(dict(columns)).set_index(index)
    return frame


def polars(columns: Columns) -> pl.DataFrame:
    """The columns as a polars table.

    Raises:
        NotInstalled: there is no polars.
    """
    frame: pl.DataFrame = _module("polars").DataFrame(dict(columns), strict=False)
    return frame


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise NotInstalled(f"This needs {name}: pip install 'fitwell[{name}]'") from error
