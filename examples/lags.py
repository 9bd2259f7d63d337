"""Turn a time series into a table for supervised learning: previous values as inputs, the next value as target.

    python examples/lags.py sunspots.csv SUNACTIVITY 11 > table.csv
    curl --data-binary @table.csv -H 'Content-Type: text/csv' "$URL/v1/datasets?order=time&task=regression"

``order=time`` tests on the last fifth of the rows and validates on the last of the others, so no model is evaluated on
rows that precede its training data.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path


def table_of(values: list[str], lags: int) -> list[list[str]]:
    """Return a header and a row per value with ``lags`` predecessors: the predecessors, latest first, and the value."""
    rows = [[*reversed(values[i - lags : i]), values[i]] for i in range(lags, len(values))]
    return [[*(f"lag{k}" for k in range(1, lags + 1)), "next"], *rows]


def main() -> None:
    """Print the table for the file, column and number of lags on the command line."""
    file, column, lags = sys.argv[1:]
    with Path(file).open(newline="") as content:
        values = [row[column] for row in csv.DictReader(content)]
    csv.writer(sys.stdout, lineterminator="\n").writerows(table_of(values, int(lags)))


if __name__ == "__main__":
    main()
