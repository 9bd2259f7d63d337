"""Metrics on other data, and the importance of columns, as tables."""

from __future__ import annotations

from rich.table import Table

from fitwell.run_views import Importance, RunEvaluation

BAR_WIDTH = 20
LAST_VALUE = "_last_value"


def evaluation_table(evaluation: RunEvaluation) -> Table:
    """Return each metric beside that of guessing and, in a series, of the last value."""
    data = "rows" if evaluation.dataset is None else f"rows of {evaluation.dataset} ({evaluation.split})"
    title = f"{evaluation.rows:,} {data}, {evaluation.at} model (epoch {evaluation.epoch})"
    kinds = {"guessing": ""}
    if any(name.endswith(LAST_VALUE) for name in evaluation.baseline):
        kinds["last value"] = LAST_VALUE
    table = Table("metric", "model", *kinds, title=title)
    for name, value in evaluation.metrics.items():
        baselines = (evaluation.baseline.get(f"{name}{suffix}") for suffix in kinds.values())
        table.add_row(name, _number(value), *map(_number, baselines))
    return table


def importance_table(importance: Importance) -> Table:
    """Return the importance of each column with a bar; negative ones have none."""
    title = (
        f"{importance.metric} of {importance.rows:,} {importance.split} rows: {_number(importance.value)}; "
        f"how much worse without the column ({importance.repeats} permutations)"
    )
    table = Table("column", "importance", "std", "", title=title)
    largest = max((one.importance for one in importance.columns), default=0.0)
    for one in importance.columns:
        width = round(BAR_WIDTH * one.importance / largest) if one.importance > 0 and largest > 0 else 0
        table.add_row(one.column, f"{one.importance:+.4g}", _number(one.std), "█" * width)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
