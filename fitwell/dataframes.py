"""Data frames of pandas and polars, which are optional: ``pip install 'fitwell[pandas]'`` or ``'fitwell[polars]'``."""

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
    """Return the columns as a pandas data frame.

    Raises:
        NotInstalled: pandas is not installed.
    """
    frame: pd.DataFrame = _module("pandas").DataFrame(dict(columns)).set_index(index)
    return frame


def polars(columns: Columns) -> pl.DataFrame:
    """Return the columns as a polars data frame.

    Raises:
        NotInstalled: polars is not installed.
    """
    frame: pl.DataFrame = _module("polars").DataFrame(dict(columns), strict=False)
    return frame


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise NotInstalled(f"{name} is not installed. Install it with: pip install 'fitwell[{name}]'") from error
