"""The confusion matrix as a table."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from fitwell.model_views import Confusion


def confusion_table(confusion: Confusion) -> Table:
    """Return a row for each true class: counts of predicted classes, recall and precision."""
    table = Table(title=f"test rows, epoch {confusion.epoch}")
    table.add_column("true class", no_wrap=True)
    for one in confusion.classes:
        table.add_column(escape(one.name), justify="right")
    table.add_column("recall", justify="right")
    table.add_column("precision", justify="right")
    for i, (one, counts) in enumerate(zip(confusion.classes, confusion.counts, strict=True)):
        cells = (f"[bold]{count}[/bold]" if i == j else str(count) for j, count in enumerate(counts))
        table.add_row(escape(one.name), *cells, _share(one.recall), _share(one.precision))
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
