"""Has an upload read by a process of its own, which has little memory and time, and takes its report.

The process is told nothing of the service: no address of a database, no token, no descriptor but its standard input,
whose end is its own. What it reports is looked at as what any stranger sends.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import DataRefused, FieldError
from service.sandbox.parsing.options import Files, Format, Limits, Options, Reading
from worker.spec.datasets.uploaded import Content

LOG = logging.getLogger("fitwell.uploads")
MOST_REPORT_BYTES = 8 * 2**20
LONGEST_STORY = 4000
"""Characters of a reader's last words that are logged."""
SINGLE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX")
"""Libraries reserve memory for each thread that they might use, and so does the allocator."""
TOLD = ("HOME", "LANG", "LC_", "LD_LIBRARY_PATH", "PATH", "PYTHON", "TZ", "VIRTUAL_ENV")
"""How the variables begin that the reader gets of this process's environment."""


class Result(BaseModel):
    """What the reader says that it wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: int
    content: Content
    notes: list[str]
    preview: dict[str, Any]
    memory: dict[str, dict[str, int]]


class Reason(BaseModel):
    """Why the reader refuses the file."""

    code: str
    message: str
    place: str
    allowed: list[Any]


class Refusal(BaseModel):
    """What the reader says instead."""

    refused: Reason
    memory: dict[str, dict[str, int]]


def read(directory: Path, options: Options, limits: Limits) -> Result:
    """What the file ``body`` in ``directory`` is; the dataset is in ``data.safetensors`` there, on the disk.

    Raises:
        DataRefused: it is no data that can be trained on, or reading it takes more than it may.
    """
    files, began = Files(directory), time.monotonic()
    code = _run(directory, Reading(options, limits), limits.seconds)
    found = _report(files, code, limits)
    seconds = time.monotonic() - began
    LOG.info("an upload was read in %.1f s; memory %s", seconds, found.memory)
    if isinstance(found, Refusal):
        reason = found.refused
        error = FieldError(reason.place, reason.code, reason.message, reason.allowed)
        raise DataRefused(reason.message, errors=[error])
    _check(files.data, found)
    return found


def _run(directory: Path, reading: Reading, seconds: float) -> int:
    """Run the reader to its end, or to the end of its time; its exit code."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(TOLD)}
    command = [sys.executable, "-P", "-m", "service.sandbox.parsing", str(directory), reading.text()]
    with (
        Files(directory).story.open("wb") as story,
        subprocess.Popen(  # noqa: S603
            command,
            env={**environment, **dict.fromkeys(SINGLE, "1")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=story,
            start_new_session=True,
        ) as process,
    ):
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGXCPU
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _report(files: Files, code: int, limits: Limits) -> Result | Refusal:
    """The reader's report; the refusal for a reader that did not come to write one."""
    if code == 0 and files.report.is_file() and files.report.stat().st_size <= MOST_REPORT_BYTES:
        text = files.report.read_bytes()
        try:
            return Refusal.model_validate_json(text) if b'"refused"' in text[:20] else Result.model_validate_json(text)
        except ValidationError:
            LOG.exception("the reader of an upload reported what it cannot have found")
    else:
        LOG.error("the reader of an upload ended with code %d: %s", code, _tail(files.story))
    return Refusal(refused=Reason(**_ended(code, limits), place="", allowed=[]), memory={})


def _ended(code: int, limits: Limits) -> dict[str, str]:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        message = (
            f"Reading the file takes longer than the {limits.seconds:g} s that it may take (FITWELL_UPLOAD_SECONDS)."
        )
        return {"code": "time", "message": message}
    return {
        "code": "reader_died",
        "message": "The file cannot be read: its reader broke off, as it does where a file is damaged or needs more "
        f"than {limits.memory_bytes:,} bytes of memory (FITWELL_UPLOAD_MEMORY_BYTES).",
    }


def _tail(story: Path) -> str:
    return story.read_bytes()[-LONGEST_STORY:].decode(errors="replace") if story.is_file() else ""


def _check(data: Path, found: Result) -> None:
    """See that the file is what the reader says: its name is its content, and others will rely on it."""
    with data.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != found.sha256 or data.stat().st_size != found.bytes:
        raise DataRefused("The file cannot be read: what its reader wrote is not what it reported.")
