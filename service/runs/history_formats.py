"""Histories as CSV, NDJSON and Parquet."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from service.runs.run import History


def history_rows(history: History) -> list[dict[str, Any]]:
    """Return a row for each epoch: epoch, steps and every series."""
    return [
        {"epoch": epoch, "steps": history.steps[i], **{name: values[i] for name, values in history.series.items()}}
        for i, epoch in enumerate(history.epoch)
    ]


def history_ndjson(history: History) -> bytes:
    """Return one JSON object per line."""
    return "".join(json.dumps(row) + "\n" for row in history_rows(history)).encode()


def history_csv(history: History) -> bytes:
    """Return a header and a line for each epoch; nonfinite values are written as nan, inf or -inf."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "steps", *history.series])
    for row in history_rows(history):
        nonfinite = {name: at[str(row["epoch"])] for name, at in history.nonfinite.items() if str(row["epoch"]) in at}
        writer.writerow([nonfinite.get(name, value) for name, value in row.items()])
    return text.getvalue().encode()


def history_parquet(history: History) -> bytes:
    """Return a column of doubles for each series; missing values are null, nonfinite values are kept."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, rarely needed
    from pyarrow import parquet  # noqa: PLC0415

    columns: dict[str, Any] = {
        "epoch": pa.array(history.epoch, pa.int64()),
        "steps": pa.array(history.steps, pa.int64()),
    }
    for name, values in history.series.items():
        nonfinite = history.nonfinite.get(name, {})
        column = [
            float(nonfinite[str(e)]) if str(e) in nonfinite else v for e, v in zip(history.epoch, values, strict=True)
        ]
        columns[name] = pa.array(column, pa.float64())
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()
