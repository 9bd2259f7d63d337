"""Dates: the time since the first training row, and parts of the calendar.

A cyclic part p of period P becomes sin(2πp/P) and cos(2πp/P), so that December is next to January; other parts are
scaled to mean 0 and standard deviation 1 over the training rows. Times are UTC.

Reference: Reingold and Dershowitz, 2018, "Calendrical calculations: the ultimate edition" (parts of the Gregorian
calendar).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.preparation import Preparation, missing_feature
from worker.spec.tables.schema import Column, ColumnType

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.families.preparation import State

    Values = np.ndarray[Any, Any]

DatePart = Literal["elapsed", "year", "month", "day", "weekday", "hour"]
PERIODS: dict[DatePart, int] = {"month": 12, "day": 31, "weekday": 7, "hour": 24}
"""The number of values of each cyclic part."""
DAY_SECONDS, HOUR_SECONDS = 86_400, 3_600
THURSDAY = 3
"""Weekday of 1 January 1970, Monday being 0."""


class Date(Preparation):
    """A date or a time, as numbers."""

    equation: ClassVar[str] = "sin(2πp/P), cos(2πp/P)"
    reference: ClassVar[str] = "Reingold and Dershowitz 2018, Calendrical calculations"
    column_type: ClassVar[ColumnType] = "date"

    kind: Literal["date"] = "date"
    parts: tuple[DatePart, ...] | None = Field(
        default=None,
        min_length=1,
        description="elapsed is the time itself; null is elapsed, month and weekday, and hour where dates have a time.",
    )
    cyclic: bool = Field(default=True, description="Make sine and cosine of month, day, weekday and hour.")
    indicator: bool = Field(
        default=True, description="Add a feature that is 1 where the value is missing, if training data lack values."
    )

    def _parts(self, column: Column) -> tuple[DatePart, ...]:
        if self.parts is not None:
            return self.parts
        return ("elapsed", "month", "weekday", *(("hour",) if column.has_time else ()))

    def features(self, column: Column) -> tuple[str, ...]:
        """One feature for each part, two for each cyclic one."""
        names: list[str] = []
        for part in self._parts(column):
            turns = ("sin", "cos") if self.cyclic and part in PERIODS else ("",)
            names += [f"{column.name} {part} {turn}".strip() for turn in turns]
        return (*names, *(missing_feature(column) if self.indicator and column.missing else ()))

    def fit(self, column: Column, values: Values) -> State:
        """The mean date, and mean and standard deviation of each part."""
        import numpy as np

        observed = values[~np.isnan(values)]
        fill = observed.mean() if len(observed) else 0.0
        parts = self._values(column, np.where(np.isnan(values), fill, values))
        shift, varies = parts.mean(0), np.ptp(parts, axis=0) > 0
        std = np.where(varies, parts.std(0), 1.0)
        factor = np.where(varies, 1 / std, 0.0)
        turns = np.array([turn for part in self._parts(column) for turn in self._turns(part)])
        return {
            "fill": np.array([fill]),
            "shift": np.where(turns, 0.0, shift),
            "factor": np.where(turns, 1.0, factor),
        }

    def transform(self, column: Column, state: State, values: Values) -> Values:
        """The parts of each date, and whether it is missing."""
        import numpy as np

        absent = np.isnan(values)
        parts = self._values(column, np.where(absent, state["fill"], values))
        x = (parts - state["shift"]) * state["factor"]
        return x if x.shape[1] == len(self.features(column)) else np.column_stack([x, absent])

    def _turns(self, part: DatePart) -> tuple[bool, ...]:
        """Return whether each feature of a part is a sine or cosine."""
        return (True, True) if self.cyclic and part in PERIODS else (False,)

    def _values(self, column: Column, seconds: Values) -> Values:
        """Return the parts (n, F) of dates in seconds (n,), before they are scaled."""
        import numpy as np

        columns = []
        for part in self._parts(column):
            p = part_of(part, seconds)
            if self.cyclic and part in PERIODS:
                angle = 2 * math.pi * p / PERIODS[part]
                columns += [np.sin(angle), np.cos(angle)]
            else:
                columns.append(p)
        return np.stack(columns, 1)


def part_of(part: DatePart, seconds: Values) -> Values:
    """Return one part of dates in seconds since 1970: days, years, or the number of the cyclic part, from 0."""
    import numpy as np

    days = np.floor(seconds / DAY_SECONDS)
    if part == "elapsed":
        values = seconds / DAY_SECONDS
    elif part == "weekday":
        values = np.mod(days + THURSDAY, 7)
    elif part == "hour":
        values = np.floor((seconds - days * DAY_SECONDS) / HOUR_SECONDS)
    else:
        dates = days.astype("datetime64[D]")
        months = dates.astype("datetime64[M]")
        count = months.astype(np.int64)
        by_part = {
            "day": (dates - months.astype("datetime64[D]")).astype(np.float64),
            "year": np.floor_divide(count, 12) + 1970.0,
            "month": np.mod(count, 12) + 0.0,
        }
        values = by_part[part]
    return np.asarray(values, np.float64)
