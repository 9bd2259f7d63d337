"""Learning curves as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from fitwell.learning_curves import LearningCurve, LearningCurves, RowsNeeded


def learning_curve_table(curves: LearningCurves, group: LearningCurve) -> Table:
    """Return the means of a group by size, and what its law predicts for larger ones."""
    table = Table("rows", "n", f"{curves.at} {curves.metric}", "interval", "law", title=escape(group.id))
    used = iter(group.law.fitted if group.law else [])
    for size in group.sizes:
        spread = "-" if size.mean is None else f"{size.mean:.4f}"
        spread += "" if size.std is None else f" ± {size.std:.4f}"
        fitted = next(used, None) if size.used else None
        table.add_row(
            f"{size.rows:,}", str(size.n), spread, _interval(size.ci), "" if fitted is None else f"{fitted:.4f}"
        )
    for one in group.predictions:
        table.add_row(f"{one.rows:,}", "", "predicted", _interval(one.ci), f"{one.value:.4f}", style="dim")
    return table


def learning_curve_notes(group: LearningCurve) -> str:
    """Return the verdict on a group, its law and its warnings."""
    return "\n".join(_notes(group))


def _notes(group: LearningCurve) -> Iterator[str]:
    yield f"{group.id}: {group.verdict.replace('_', ' ')}. {group.explanation}"
    if group.law is not None and group.law.predictions:
        law = group.law
        sign = "−" if law.coefficient < 0 else "+"
        formula = f"{law.asymptote:.4g} {sign} {abs(law.coefficient):.4g}·n^(−{law.exponent:.3g})"
        yield f"Law: {formula}; asymptote {law.asymptote:.4g} (interval {_interval(group.asymptote_ci)})."
    if group.rows_needed is not None:
        yield _needed(group.rows_needed)
    yield from (f"Warning: {warning}" for warning in group.warnings)


def _needed(needed: RowsNeeded) -> str:
    if needed.rows is None:
        least = f"more than {needed.max_rows:,}" if needed.low is None else f"at least {needed.low:,}"
        return f"{needed.target:g} is not reached within {needed.max_rows:,} rows by the law; it takes {least} rows."
    low = "" if needed.low is None else f"{needed.low:,}"
    high = f"more than {needed.max_rows:,}" if needed.high is None else f"{needed.high:,}"
    return f"{needed.target:g} is reached with about {needed.rows:,} rows (interval {low} to {high})."


def _interval(ci: tuple[float, float] | None) -> str:
    return "" if ci is None else f"{ci[0]:.4g} to {ci[1]:.4g}"
