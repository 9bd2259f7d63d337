"""``python -P -m service.sandbox.parsing DIRECTORY``: parse ``body`` in the directory, within limits.

Its arguments are in ``reading.json``, and another task than to write a dataset in ``task.json``. The report,
``report.json``, describes the dataset or says why the file is refused. The libraries of the format are imported before
the limits are set, so that these apply to the file alone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from service.sandbox.parsing.limits import confine, memory
from service.sandbox.parsing.options import Files, Format, MergeTask, Reading, RowsTask, task_of
from service.sandbox.parsing.reader import TABLES, import_for, looks_like, read
from service.sandbox.parsing.refusals import Refused
from worker.lifetime import die_with_parent


def main(directory: str) -> None:
    """Parse the file, write the dataset or do another task, and report."""
    files = Files(Path(directory))
    reading = Reading.of(files.reading.read_text())
    task = task_of(files.task.read_text()) if files.task.is_file() else None
    die_with_parent()
    form = reading.options.format or looks_like(files.body)
    import_for(form if task is None or form in TABLES else "csv")
    before = memory()
    confine(reading.limits)
    report: dict[str, Any]
    try:
        report = read(files.body, files.data, form, reading) if task is None else _done(task, files, form, reading)
    except Refused as refused:
        report = {"refused": refused.report()}
    except MemoryError:
        most = reading.limits.memory_bytes
        message = (
            f"Reading the file takes more than the limit of {most:,} bytes of memory "
            "(FITWELL_UPLOAD_MEMORY_BYTES). Send fewer rows or columns."
        )
        report = {"refused": Refused("memory", message).report()}
    report["memory"] = {"before": before, "after": memory()}
    files.report.write_text(json.dumps(report, allow_nan=False))


def _done(task: RowsTask | MergeTask, files: Files, form: Format, reading: Reading) -> dict[str, Any]:
    """Read or write a file of rows to predict, and return the report."""
    from service.sandbox.parsing.tables.prediction_files import merge, read_rows  # noqa: PLC0415 - only for tables

    if isinstance(task, MergeTask):
        return merge(files, form, reading, task)
    return read_rows(files, form, reading, task)


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # the thread that watches the parent still waits
