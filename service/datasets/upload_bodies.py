"""Uploads as they arrive: counted, and written to disk."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.datasets.errors import WrongFileType
from service.errors import TooLarge, Unavailable
from service.http.body_stream import pieces
from service.sandbox.parsing.options import Format

OCTETS = "application/octet-stream"
FORMATS: dict[str, Format | None] = {
    OCTETS: None,
    "application/zip": None,
    "application/x-zip-compressed": None,
    "application/x-npz": "npz",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/x-npy": "npy",
    "text/x-arff": "arff",
    "text/tab-separated-values": "csv",
    "application/gzip": None,
    "application/x-gzip": None,
}
"""Formats by Content-Type; None means that the first bytes decide."""
WRITE_BYTES = 2**20
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def file_of(example: str) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that takes a file; client generators know no other type than this."""
    content = {"schema": {"type": "string", "format": "binary"}, "example": example}
    others = ", ".join(name for name in FORMATS if name != OCTETS)
    description = f"The file itself. Other accepted types: {others}."
    return {"requestBody": {"required": True, "description": description, "content": {OCTETS: content}}}


def content_format(request: Request) -> Format | None:
    """Return the format that the Content-Type names, if it names one."""
    return FORMATS.get(_media_type(request))


async def save(request: Request, file: Path, limit: int) -> None:
    """Write the body to ``file``, at most ``limit`` bytes.

    Raises:
        WrongFileType: The Content-Type is not one of a data file.
        TooLarge: The body exceeds ``limit``.
        BadRequest: The body did not arrive completely.
        Unavailable: The disk is full.
    """
    if _media_type(request) not in FORMATS:
        known = ", ".join(FORMATS)
        raise WrongFileType(f"Content-Type {_media_type(request)!r} is not supported; send one of {known}.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    try:
        with file.open("xb") as opened:
            await _copy(request, opened, limit)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise Unavailable("The disk is full; nothing was stored.", headers={"retry-after": "60"}) from error


async def _copy(request: Request, file: BinaryIO, limit: int) -> None:
    buffer, size = bytearray(), 0
    async for piece in pieces(request):
        buffer += piece
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        if len(buffer) >= WRITE_BYTES:
            await run_in_threadpool(file.write, bytes(buffer))
            buffer.clear()
    await run_in_threadpool(file.write, bytes(buffer))


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The file exceeds {limit:,} bytes (FITWELL_MAX_UPLOAD_BYTES).")
