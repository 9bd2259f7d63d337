"""Features of a time series: earlier values, and means and standard deviations over windows.

The row of time t gets only values of time t − h and before, where h is the horizon. Dates stay those of time t, which
are known in advance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from service.sandbox.parsing.options import Options
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.tables.columns import CODED, Column


def check_series(options: Options, *, in_time: bool) -> None:
    """Check that options of series come together with an order in time.

    Raises:
        Refused: Rows are not in order of time, or a horizon has no lags.
    """
    if options.time is not None and options.order == "random":
        message = "time orders the rows, so order cannot be random; leave one of both out."
        raise Refused("two_orders", message, parameter="order")
    requested = next((name for name in ("lags", "rolling") if getattr(options, name)), None)
    if requested is not None and not in_time:
        message = f"{requested} needs rows in order of time: set time to the column with the dates, or order=time."
        raise Refused("no_order", message, parameter=requested)
    if options.horizon != 1 and requested is None:
        raise Refused("no_lags", "horizon applies to a series with lags or rolling; set lags.", parameter="horizon")


def with_past(inputs: Sequence[Column], target: Column, options: Options) -> tuple[list[Column], int]:
    """Return the inputs of a series, and the number of first rows without a whole past, which are to be left out.

    Raises:
        Refused: The series is too short.
    """
    history = options.horizon + max([options.lags, *options.rolling, 1]) - 1
    rows = len(target.values)
    if history >= rows:
        message = f"The series has {rows:,} rows, and the first {history:,} have no whole past. Lower lags or rolling."
        raise Refused("too_few_rows", message, parameter="lags")
    columns: list[Column] = [column for column in inputs if column.type == "date"]
    for column in (target, *(one for one in inputs if one.type != "date")):
        if column.type in CODED:
            columns.append(_shifted(column, options.horizon))
        else:
            columns += [_shifted(column, options.horizon + lag) for lag in range(options.lags)]
            columns += _windows(column, options)
    return columns, history


def shared_times(times: Values) -> list[str]:
    """Return a warning if rows share their time, as in several series in one file."""
    repeated = np.flatnonzero(times[1:] == times[:-1])
    if not len(repeated):
        return []
    return [
        f"{len(repeated):,} rows have the same time as the row before, the first of them row {int(repeated[0]) + 2} in "
        "order of time. Lags count rows, so they mix series of one file; upload one series at a time."
    ]


def _shifted(column: Column, rows: int) -> Column:
    """Return the values of ``rows`` rows before; the first rows repeat the first value and are left out later."""
    positions = np.maximum(np.arange(len(column.values)) - rows, 0)
    return replace(column.take(positions), name=f"{column.name} lag {rows}")


def _windows(column: Column, options: Options) -> Iterator[Column]:
    """Yield mean and standard deviation of each window that ends ``horizon`` rows before."""
    past = _shifted(column, options.horizon).values
    for width in dict.fromkeys(options.rolling):
        windows = np.lib.stride_tricks.sliding_window_view(past, width)
        for name, values in (("mean", windows.mean(1)), ("std", windows.std(1))):
            padded: Values = np.concatenate([np.full(width - 1, values[0]), values])
            yield replace(column, name=f"{column.name} {name} {width}", values=padded)
