"""Comparisons of single runs: what their specs differ in, their figures, and which series can share an axis.

Series are like for like if they measure the same: on the same data, by the same loss. The first run is the reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.runs.differences import Difference, differences
from service.runs.run import Run
from worker.spec.families.loss import Loss
from worker.spec.families.regularizer import Regularizer, adds_penalty
from worker.spec.models import KINDS
from worker.spec.run import RunSpec

MAX_COMPARED = 50
LOSS = re.compile(r"^(train|val|test)\.loss(_eval|_loo)?(_averaged)?$")
OBJECTIVE = re.compile(r"^train\.objective$|^penalty\.")
SPLIT_FIELDS = {
    "val": ("validation_size", "fold", "split_seed"),
    "train": ("train_size", "train_classes", "validation_size", "fold", "split_seed", "label_noise", "imbalance"),
}
"""Fields of a dataset that choose the rows of each part; test rows are the same for all."""
Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Figures:
    """A run with its metrics at the best and the last epoch; ``best`` is empty if no epoch was chosen."""

    run: Run
    best: Metrics
    last: Metrics


@dataclass(frozen=True)
class Series:
    """A series, the runs that measure it as the first run does, and why others do not, by id."""

    name: str
    comparable: Sequence[str]
    excluded: Mapping[str, str]
    note: str | None
    """A caution although the series are comparable."""


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side."""

    figures: Sequence[Figures]
    differing: Sequence[Difference]
    series: Sequence[Series]


def compare(figures: Sequence[Figures]) -> RunComparison:
    """Compare runs with the first one."""
    names = dict.fromkeys(name for one in figures for name in one.last)
    specs = {one.run.id: RunSpec.of(one.run.spec) for one in figures}
    return RunComparison(
        figures=figures,
        differing=differences([one.run.spec for one in figures]),
        series=[_series(name, figures, specs) for name in names],
    )


def _series(name: str, figures: Sequence[Figures], specs: Mapping[str, RunSpec]) -> Series:
    first = specs[figures[0].run.id]
    comparable: list[str] = []
    excluded: dict[str, str] = {}
    for one in figures:
        reason = objection(name, first, specs[one.run.id])
        if reason is None and one.run.epoch and name not in one.last:
            reason = f"it does not measure {name}"
        if reason is None:
            comparable.append(one.run.id)
        else:
            excluded[one.run.id] = reason
    note = _note(name, [specs[run_id].dataset for run_id in comparable])
    return Series(name, comparable, excluded, note)


def objection(name: str, first: RunSpec, other: RunSpec) -> str | None:
    """Return why ``other`` does not measure the series ``name`` as ``first`` does; None if it does."""
    axes = [KINDS[spec.model.kind].epoch_name for spec in (first, other)]
    if axes[0] != axes[1]:
        return f"its axis is {axes[1]}, not {axes[0]}"
    if first.dataset.digest() != other.dataset.digest():
        kinds = [spec.dataset.kind for spec in (first, other)]
        data = "other data of the same kind" if kinds[0] == kinds[1] else f"{kinds[1]}, not {kinds[0]}"
        return f"it is measured on {data}"
    if (LOSS.match(name) or OBJECTIVE.match(name)) and first.effective_loss != other.effective_loss:
        losses = [_name(spec.effective_loss) for spec in (first, other)]
        return f"its loss is {losses[1]}, not {losses[0]}"
    if OBJECTIVE.match(name) and _penalties(first) != _penalties(other):
        return "its penalties are others"
    return None


def _penalties(spec: RunSpec) -> list[Regularizer]:
    """Return the regularizers that add a term to the objective."""
    return [part for part in spec.regularizers if adds_penalty(part)]


def _name(loss: Loss) -> str:
    """Return the kind of a loss and its fields."""
    fields = loss.model_dump(exclude={"kind"})
    return f"{loss.kind} ({', '.join(f'{name} {value}' for name, value in fields.items())})" if fields else loss.kind


def _note(name: str, datasets: Sequence[Any]) -> str | None:
    part = name.partition(".")[0]
    differing = [
        field for field in SPLIT_FIELDS.get(part, ()) if len({repr(getattr(one, field)) for one in datasets}) > 1
    ]
    if not differing:
        return None
    rows = "Validation" if part == "val" else "Training"
    fields = ", ".join(f"dataset.{field}" for field in differing)
    return f"{rows} rows differ ({fields}), which explains a part of any difference; test rows are the same."
