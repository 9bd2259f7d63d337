"""``python -P -m service.sandbox.parsing DIRECTORY READING``: read ``body`` in the directory, within limits.

What comes of it is in ``report.json``: what the dataset is, or why the file is refused. What the format needs is
imported before the limits are set, so that they are for the file alone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from service.sandbox.parsing.limits import confine, memory
from service.sandbox.parsing.options import Files, Reading
from service.sandbox.parsing.reader import import_for, looks_like, read
from service.sandbox.parsing.refusals import Refused
from worker.lifetime import die_with_parent


def main(directory: str, told: str) -> None:
    """Read, write, report."""
    files, reading = Files(Path(directory)), Reading.of(told)
    die_with_parent()
    form = reading.options.format or looks_like(files.body)
    import_for(form)
    before = memory()
    confine(reading.limits)
    report: dict[str, Any]
    try:
        report = read(files.body, files.data, form, reading)
    except Refused as refused:
        report = {"refused": vars(refused)}
    except MemoryError:
        most = reading.limits.memory_bytes
        message = (
            f"Reading the file takes more than the {most:,} bytes of memory that it may take "
            "(FITWELL_UPLOAD_MEMORY_BYTES); send fewer rows or columns."
        )
        report = {"refused": {"code": "memory", "message": message, "place": "", "allowed": []}}
    report["memory"] = {"before": before, "after": memory()}
    files.report.write_text(json.dumps(report, allow_nan=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # the thread that watches the parent still waits
