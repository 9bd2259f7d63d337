"""A history as CSV, lines of JSON, or Parquet."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from service.runs.run import History


def history_rows(history: History) -> list[dict[str, Any]]:
    """One row for each epoch: epoch, steps, and every series."""
    return [
        {"epoch": epoch, "steps": history.steps[i], **{name: values[i] for name, values in history.series.items()}}
        for i, epoch in enumerate(history.epoch)
    ]


def history_ndjson(history: History) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in history_rows(history)).encode()


def history_csv(history: History) -> bytes:
    """A header and a line for each epoch; a value that is not finite is written as nan, inf or -inf."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "steps", *history.series])
    for row in history_rows(history):
        said = {name: at[str(row["epoch"])] for name, at in history.nonfinite.items() if str(row["epoch"]) in at}
        writer.writerow([said.get(name, value) for name, value in row.items()])
    return text.getvalue().encode()


def history_parquet(history: History) -> bytes:
    """A column for each series, as doubles; a value that was not recorded is null, one that is not finite itself."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and seldom asked for
    from pyarrow import parquet  # noqa: PLC0415

    columns: dict[str, Any] = {
        "epoch": pa.array(history.epoch, pa.int64()),
        "steps": pa.array(history.steps, pa.int64()),
    }
    for name, values in history.series.items():
        told = history.nonfinite.get(name, {})
        whole = [float(told[str(e)]) if str(e) in told else v for e, v in zip(history.epoch, values, strict=True)]
        columns[name] = pa.array(whole, pa.float64())
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()
