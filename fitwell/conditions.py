"""Conditions on the metrics of a run, for pipelines: ``val.loss > 0.4``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from fitwell.client import Client
from fitwell.metric_names import condition_names, metric_names
from fitwell.run import Run
from fitwell.spec_files import SpecFileError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
PATTERN = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(>=|<=|==|!=|>|<)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*")
EXAMPLE = 'such as "val.loss > 0.4", "best.value >= 0.3" or "test.accuracy < 0.9"'


@dataclass(frozen=True)
class Condition:
    """A metric, an operator and a limit."""

    text: str
    name: str
    compare: Callable[[float, float], bool]
    limit: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Return the condition in a text.

        Raises:
            SpecFileError: The text is not a metric, an operator and a number.
        """
        match = PATTERN.fullmatch(text)
        try:
            limit = float(match[3]) if match else None
        except ValueError:
            limit = None
        if match is None or limit is None:
            raise SpecFileError(f"Invalid --fail-if {text!r}. Use a metric, an operator and a number, {EXAMPLE}.")
        return cls(text.strip(), match[1], OPERATORS[match[2]], limit)

    def check_name(self, names: Collection[str]) -> None:
        """Check that the condition uses one of these names.

        Raises:
            SpecFileError: It uses another name; the message suggests the nearest one.
        """
        if self.name in names:
            return
        near = get_close_matches(self.name, sorted(names), n=1, cutoff=0.4)
        known = ", ".join(sorted(name for name in names if not name.startswith("last.")))
        advice = f"Did you mean {near[0]!r}?" if near else f"Its metrics are {known}."
        raise SpecFileError(f"--fail-if {self.text!r}: The run does not record {self.name!r}. {advice}")

    def violation(self, run: Run) -> str | None:
        """Return why the run meets the condition, or None if it does not. A metric that is not finite meets any.

        Raises:
            SpecFileError: The run did not record the metric.
        """
        values = _values(run)
        self.check_name(values)
        value = values[self.name]
        if value is None:
            return f"{self.name} is not a finite number, which meets {self.text!r}"
        return f"{self.name} is {value:.6g}: {self.text}" if self.compare(value, self.limit) else None


def check_conditions(client: Client, conditions: Collection[Condition], body: dict[str, Any]) -> None:
    """Check that a run with this body will record the metrics of all conditions; submits nothing.

    Raises:
        InvalidRequest: The body is not a valid run.
        SpecFileError: A condition uses a metric that the run will not record.
    """
    if not conditions:
        return
    spec = client.runs.validate(**body).spec
    dataset = spec["dataset"]
    task = client.datasets.get(dataset.get("id") or dataset["kind"]).task
    names = condition_names(metric_names(spec, task))
    for condition in conditions:
        condition.check_name(names)


def _values(run: Run) -> dict[str, float | None]:
    """Return the values that conditions can use, by name."""
    values: dict[str, float | None] = {**run.last, **{f"last.{name}": value for name, value in run.last.items()}}
    if run.best is not None:
        best = run.best
        values |= {"best.value": best.value, "best.epoch": float(best.epoch), f"best.{best.metric}": best.value}
    return values
