"""Turn a column of a CSV file into a table that a model can learn from: the last values, and the one that follows.

    python examples/lags.py sunspots.csv SUNACTIVITY 11 > table.csv
    curl --data-binary @table.csv -H 'Content-Type: text/csv' "$URL/v1/datasets?order=time&task=regression"

``order=time`` keeps the last fifth for testing, and of the rest the last rows validate: nothing is judged by its past.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path


def table_of(values: list[str], lags: int) -> list[list[str]]:
    """A row for each value that has ``lags`` others before it: these, the last one first, and the value itself."""
    rows = [[*reversed(values[i - lags : i]), values[i]] for i in range(lags, len(values))]
    return [[*(f"lag{k}" for k in range(1, lags + 1)), "next"], *rows]


def main() -> None:
    """Read the file and column named on the command line; the table is printed."""
    file, column, lags = sys.argv[1:]
    with Path(file).open(newline="") as content:
        values = [row[column] for row in csv.DictReader(content)]
    csv.writer(sys.stdout, lineterminator="\n").writerows(table_of(values, int(lags)))


if __name__ == "__main__":
    main()
