"""Conditions on the figures of a run, for pipelines: ``val.loss > 0.4``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from fitwell.run import Run
from fitwell.spec_files import SpecFileError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
WRITTEN = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(>=|<=|==|!=|>|<)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*")
EXAMPLE = 'such as "val.loss > 0.4", "best.value >= 0.3" or "test.accuracy < 0.9"'


@dataclass(frozen=True)
class Condition:
    """A figure of a run, a comparison and a number."""

    text: str
    name: str
    compare: Callable[[float, float], bool]
    limit: float

    @classmethod
    def read(cls, text: str) -> Condition:
        """The condition in a text.

        Raises:
            SpecFileError: it is none.
        """
        found = WRITTEN.fullmatch(text)
        try:
            limit = float(found[3]) if found else None
        except ValueError:
            limit = None
        if found is None or limit is None:
            raise SpecFileError(f"--fail-if takes a figure, a comparison and a number, {EXAMPLE}; not {text!r}.")
        return cls(text.strip(), found[1], OPERATORS[found[2]], limit)

    def told(self, run: Run) -> str | None:
        """Why it holds of a run, in a sentence; None where it does not. What is no number is no good either.

        Raises:
            SpecFileError: the run has no such figure.
        """
        value = self._value(run)
        if value is None:
            return f"{self.name} is no number after the last epoch, so {self.text!r} cannot be denied"
        return f"{self.name} is {value:.6g}: {self.text}" if self.compare(value, self.limit) else None

    def _value(self, run: Run) -> float | None:
        figures: dict[str, float | None] = {**run.last, **{f"last.{name}": value for name, value in run.last.items()}}
        if run.best is not None:
            best = run.best
            figures |= {"best.value": best.value, "best.epoch": float(best.epoch), f"best.{best.metric}": best.value}
        if self.name not in figures:
            known = ", ".join(sorted(name for name in figures if not name.startswith("last.")))
            raise SpecFileError(f"--fail-if {self.text!r}: the run has no figure {self.name!r}; it has {known}.")
        return figures[self.name]
