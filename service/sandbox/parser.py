"""The service's side of the parser process: runs it on an upload, within limits, and validates its report.

The process gets nothing of the service: no database URL, no token, and no descriptor but its standard input, whose end
ends it. Its report is validated like any untrusted input.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import DataRefused, FieldError
from service.sandbox.parsing.options import (
    ColumnRole,
    ColumnType,
    Files,
    Format,
    Limits,
    Mark,
    MergeTask,
    Options,
    Reading,
    RowsTask,
)
from worker.spec.datasets.uploaded import Content

LOG = logging.getLogger("fitwell.uploads")
MAX_REPORT_BYTES = 8 * 2**20
LOGGED_STDERR_BYTES = 4000
"""Length of the end of a parser's standard error that is logged."""
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX")
"""Set to 1, because libraries and the allocator reserve memory for each thread that they might use."""
LARGE_BLOCKS = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""Blocks from this size on are returned to the system when they are freed; glibc raises its threshold to 32 MiB."""
INHERITED = ("HOME", "LANG", "LC_", "LD_LIBRARY_PATH", "PATH", "PYTHON", "TZ", "VIRTUAL_ENV")
"""Prefixes of the environment variables passed to the parser."""


class ColumnReport(BaseModel):
    """The parser's description of a column of a table, with statistics of the training rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: ColumnType
    role: ColumnRole
    levels: list[str] = []
    missing: int = 0
    has_time: bool = False
    monthly: bool = False
    decimal: Mark = "."
    day_first: bool | None = None
    statistics: dict[str, Any] = {}
    all_rows: dict[str, Any] | None = None
    """Range of an input's numbers, test rows included, and whether all are whole."""
    notes: list[str] = []


class TableReport(BaseModel):
    """The parser's description of a table: the columns of the file in order, and those that were added."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: list[ColumnReport]


class Result(BaseModel):
    """The parser's description of the dataset that it wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: int
    content: Content
    notes: list[str]
    warnings: list[str] = []
    table: TableReport | None = None
    preview: dict[str, Any]
    memory: dict[str, dict[str, int]]


class FileRows(BaseModel):
    """The parser's description of rows to predict."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    columns: list[str]
    """Names of all columns in the file."""
    missing: dict[str, int]
    unseen: dict[str, int]
    notes: list[str]
    memory: dict[str, dict[str, int]]


class Merged(BaseModel):
    """The parser's report for a file that it wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory: dict[str, dict[str, int]]


R = TypeVar("R", Result, FileRows, Merged)


class Reason(BaseModel):
    """A reason of the parser for refusing the file."""

    code: str
    message: str
    place: str = ""
    allowed: list[Any] = []
    row: int | None = None
    column: str | None = None
    cell: str | None = None
    parameter: str | None = None

    def error(self) -> FieldError:
        """Return the reason as an entry of a problem's ``errors``."""
        return FieldError(
            self.place,
            self.code,
            self.message,
            self.allowed,
            parameter=self.parameter,
            row=self.row,
            column=self.column,
            cell=self.cell,
        )


class Refusal(BaseModel):
    """The parser's report for a refused file."""

    refused: Annotated[list[Reason], Field(min_length=1)]
    memory: dict[str, dict[str, int]]


def read(directory: Path, options: Options, limits: Limits) -> Result:
    """Parse the file ``body`` in ``directory`` into ``data.safetensors`` beside it, and return its description.

    Raises:
        DataRefused: The file is not a dataset that can be trained on, or parsing it exceeds the limits.
    """
    report = _parsed(directory, Reading(options, limits), None, Result)
    _check(Files(directory).data, report)
    return report


def read_rows(directory: Path, options: Options, limits: Limits, task: RowsTask) -> FileRows:
    """Parse the rows in ``body`` of ``directory`` into ``data.safetensors`` beside it, and return their description.

    Raises:
        DataRefused: The file has no rows of these columns, or parsing it exceeds the limits.
    """
    return _parsed(directory, Reading(options, limits), task, FileRows)


def merge(directory: Path, options: Options, limits: Limits, task: MergeTask) -> Path:
    """Write the rows in ``body`` of ``directory`` with a model's outputs, and return the path of the file.

    Raises:
        DataRefused: Writing exceeds the limits.
    """
    _parsed(directory, Reading(options, limits), task, Merged)
    return Files(directory).merged


def _parsed(directory: Path, reading: Reading, task: RowsTask | MergeTask | None, kind: type[R]) -> R:
    """Run the parser, and return its report.

    Raises:
        DataRefused: The file is refused, or parsing it exceeds the limits.
    """
    files, began = Files(directory), time.monotonic()
    code = _run(directory, reading, task)
    report = _report(files, code, reading.limits, kind)
    files.report.unlink(missing_ok=True)
    seconds = time.monotonic() - began
    LOG.info("parsed an upload in %.1f s; memory %s", seconds, report.memory)
    if isinstance(report, Refusal):
        raise refusal(report.refused)
    return report


def refusal(reasons: Sequence[Reason]) -> DataRefused:
    """Return the error of a refused file, with an entry for each reason."""
    detail, more = reasons[0].message, len(reasons) - 1
    if more:
        detail += f" The file has {more} more error{'s' if more > 1 else ''}, listed in `errors`."
    return DataRefused(detail, errors=[reason.error() for reason in reasons])


def _run(directory: Path, reading: Reading, task: RowsTask | MergeTask | None) -> int:
    """Run the parser within its time limit, and return its exit code."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    command = [sys.executable, "-P", "-m", "service.sandbox.parsing", str(directory)]
    Files(directory).reading.write_text(reading.text())
    Files(directory).task.unlink(missing_ok=True)
    if task is not None:
        Files(directory).task.write_text(task.text())
    with (
        Files(directory).story.open("wb") as story,
        subprocess.Popen(  # noqa: S603
            command,
            env={**environment, **dict.fromkeys(ONE_THREAD, "1"), **LARGE_BLOCKS},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=story,
            start_new_session=True,
        ) as process,
    ):
        try:
            return process.wait(reading.limits.seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGXCPU
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _report(files: Files, code: int, limits: Limits, kind: type[R]) -> R | Refusal:
    """Return the parser's report, or a refusal if it died before writing one."""
    if code == 0 and files.report.is_file() and files.report.stat().st_size <= MAX_REPORT_BYTES:
        text = files.report.read_bytes()
        try:
            return Refusal.model_validate_json(text) if b'"refused"' in text[:20] else kind.model_validate_json(text)
        except ValidationError:
            LOG.exception("the parser of an upload wrote an invalid report")
    else:
        LOG.error("the parser of an upload exited with code %d: %s", code, _tail(files.story))
    return Refusal(refused=[Reason(**_failure(code, limits, _tail(files.story)))], memory={})


def _failure(code: int, limits: Limits, output: str) -> dict[str, str]:
    """Return why the parser died; its ``output`` shows whether a library lacked memory."""
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        message = f"Reading the file takes longer than the limit of {limits.seconds:g} s (FITWELL_UPLOAD_SECONDS)."
        return {"code": "time", "message": message}
    if "Out of memory" in output or "bad_alloc" in output:
        most = f"the limit of {limits.memory_bytes:,} bytes of memory (FITWELL_UPLOAD_MEMORY_BYTES)"
        return {"code": "memory", "message": f"Reading the file takes more than {most}. Send fewer rows or columns."}
    return {
        "code": "reader_died",
        "message": "The file cannot be read: the parser crashed. The file may be damaged, or need more than "
        f"{limits.memory_bytes:,} bytes of memory (FITWELL_UPLOAD_MEMORY_BYTES).",
    }


def _tail(story: Path) -> str:
    return story.read_bytes()[-LOGGED_STDERR_BYTES:].decode(errors="replace") if story.is_file() else ""


def _check(data: Path, result: Result) -> None:
    """Check that the file matches the report, as it will be stored and trusted under its hash."""
    with data.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != result.sha256 or data.stat().st_size != result.bytes:
        raise DataRefused("The file cannot be read: the parser's output does not match its report.")
