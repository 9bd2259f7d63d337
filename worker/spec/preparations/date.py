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
    from worker.spec.graph import Graph, Value

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
        description="elapsed is the time itself; null is elapsed and month, weekday unless dates are months, and hour "
        "where dates have a time.",
    )
    cyclic: bool = Field(default=True, description="Make sine and cosine of month, day, weekday and hour.")
    indicator: bool = Field(
        default=True, description="Add a feature that is 1 where the value is missing, if training data lack values."
    )

    def _parts(self, column: Column) -> tuple[DatePart, ...]:
        if self.parts is not None:
            return self.parts
        if column.monthly:
            return ("elapsed", "month")
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

    def onnx(self, graph: Graph, column: Column, state: State, values: Value) -> Value:
        """The same of seconds since 1970."""
        absent = graph.node("IsNaN", values)
        seconds = graph.node("Where", absent, graph.doubles(state["fill"]), values)
        calendar, columns = _Calendar(graph, seconds), []
        for part in self._parts(column):
            p = calendar.part(part)
            if self.cyclic and part in PERIODS:
                angle = graph.node("Mul", p, graph.doubles(2 * math.pi / PERIODS[part]))
                quarter = graph.doubles(math.pi / 2)
                columns += [graph.node("Sin", angle), graph.node("Sin", graph.node("Add", angle, quarter))]
            else:
                columns.append(p)
        shifted = graph.node("Sub", graph.features(*columns), graph.doubles(state["shift"]))
        x = graph.rounded_to_float(graph.node("Mul", shifted, graph.doubles(state["factor"])))
        marked = self.indicator and column.missing
        return graph.features(x, *([graph.as_float(absent)] if marked else []))

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


class _Calendar:
    """Parts of dates in a graph, in double arithmetic, which is exact for whole numbers.

    Years begin in March, so that a leap day is the last day of its year.

    Reference: Hinnant, 2014, "chrono-compatible low-level date algorithms" (civil_from_days).
    """

    def __init__(self, graph: Graph, seconds: Value) -> None:
        self._graph = graph
        self._seconds = seconds
        self._days = self._quotient(seconds, DAY_SECONDS)
        self._date: dict[DatePart, Value] = {}

    def part(self, part: DatePart) -> Value:
        """Return what :func:`part_of` returns."""
        if part == "elapsed":
            return self._graph.node("Div", self._seconds, self._graph.doubles(float(DAY_SECONDS)))
        if part == "weekday":
            return self._remainder(self._plus(self._days, THURSDAY), 7)
        if part == "hour":
            return self._quotient(self._remainder(self._seconds, DAY_SECONDS), HOUR_SECONDS)
        if not self._date:
            self._date = self._year_month_day()
        return self._date[part]

    def _year_month_day(self) -> dict[DatePart, Value]:
        """Return year, month and day of the month, the latter two from 0."""
        since_march_of_year_0 = self._plus(self._days, 719_468)
        era = self._quotient(since_march_of_year_0, 146_097)
        day_of_era = self._remainder(since_march_of_year_0, 146_097)
        leap_days = self._sum(
            self._times(self._quotient(day_of_era, 1_460), -1),
            self._quotient(day_of_era, 36_524),
            self._times(self._quotient(day_of_era, 146_096), -1),
        )
        year_of_era = self._quotient(self._sum(day_of_era, leap_days), 365)
        first_day = self._sum(
            self._times(year_of_era, 365),
            self._quotient(year_of_era, 4),
            self._times(self._quotient(year_of_era, 100), -1),
        )
        day_of_year = self._sum(day_of_era, self._times(first_day, -1))
        month = self._quotient(self._plus(self._times(day_of_year, 5), 2), 153)  # March is 0
        first_of_month = self._quotient(self._plus(self._times(month, 153), 2), 5)
        late = self._quotient(month, 10)  # 1 in January and February
        return {
            "year": self._sum(year_of_era, self._times(era, 400), late),
            "month": self._remainder(self._plus(month, 2), 12),
            "day": self._sum(day_of_year, self._times(first_of_month, -1)),
        }

    def _quotient(self, value: Value, divisor: int) -> Value:
        quotient = self._graph.node("Div", value, self._graph.doubles(float(divisor)))
        return self._graph.node("Floor", quotient)

    def _remainder(self, value: Value, divisor: int) -> Value:
        return self._sum(value, self._times(self._quotient(value, divisor), -divisor))

    def _times(self, value: Value, factor: int) -> Value:
        return self._graph.node("Mul", value, self._graph.doubles(float(factor)))

    def _plus(self, value: Value, number: int) -> Value:
        return self._graph.node("Add", value, self._graph.doubles(float(number)))

    def _sum(self, first: Value, *others: Value) -> Value:
        for other in others:
            first = self._graph.node("Add", first, other)
        return first
