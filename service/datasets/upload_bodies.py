"""Uploads as they arrive: counted, and written to disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request

from service.datasets.errors import WrongFileType
from service.http.body_stream import media_type, save_body
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


def file_of(example: str) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that takes a file; client generators know no other type than this."""
    content = {"schema": {"type": "string", "format": "binary"}, "example": example}
    others = ", ".join(name for name in FORMATS if name != OCTETS)
    description = f"The file itself. Other accepted types: {others}."
    return {"requestBody": {"required": True, "description": description, "content": {OCTETS: content}}}


def content_format(request: Request) -> Format | None:
    """Return the format that the Content-Type names, if it names one."""
    return FORMATS.get(media_type(request))


async def save(request: Request, file: Path, limit: int) -> None:
    """Write the body to ``file``, at most ``limit`` bytes.

    Raises:
        WrongFileType: The Content-Type is not one of a data file.
        TooLarge: The body exceeds ``limit``.
        BadRequest: The body did not arrive completely.
        Unavailable: The disk is full.
    """
    if media_type(request) not in FORMATS:
        known = ", ".join(FORMATS)
        raise WrongFileType(f"Content-Type {media_type(request)!r} is not supported; send one of {known}.")
    await save_body(request, file, limit)
