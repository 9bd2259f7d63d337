"""Files as answers: their digest is their ETag, parts of them can be asked for, and they are sent from an open file.

A list of ranges, a range in another unit and one that makes no sense are ignored, as RFC 9110 has it: the answer is the
whole file.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from service.errors import PreconditionFailed, RangeRefused, Refusal
from service.http.dependencies import matches, not_modified

CHUNK_BYTES = 2**18
ONE_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE)
MEDIA_TYPE = "application/octet-stream"
SENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "A part of it, as Range asked.", "content": {MEDIA_TYPE: {}}},
    304: {"description": "You have it already."},
}
"""The ``responses`` of a route that sends a file."""


def sent(request: Request, file: BufferedReader, sha256: str, name: str) -> Response:
    """The open file, or what was asked of it, called ``name``.

    Raises:
        PreconditionFailed: it is not the one that If-Match names.
        RangeRefused: the part asked for is outside of it.
    """
    tag = f'"{sha256}"'
    try:
        _require(request, tag)
        if not matches(request, tag):
            return _whole_or_part(request, file, tag, name)
    except Refusal:
        file.close()
        raise
    file.close()
    return not_modified(tag)


def _require(request: Request, tag: str) -> None:
    """Refuse where the caller wants another file (If-Match)."""
    given = request.headers.get("if-match", "*").strip()
    if given != "*" and tag not in [one.strip() for one in given.split(",")]:
        raise PreconditionFailed(f"The file is {tag} now; ask without If-Match to get it.")


def _whole_or_part(request: Request, file: BufferedReader, tag: str, name: str) -> Response:
    size = file.seek(0, 2)
    whole = request.method == "HEAD" or request.headers.get("if-range", tag) != tag
    part = None if whole else part_of(request.headers.get("range", ""), size)
    begin, end = part or (0, size)
    headers = {
        "etag": tag,
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(tag[1:-1])).decode()}:",
        "accept-ranges": "bytes",
        "content-length": str(end - begin),
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
    } | ({} if part is None else {"content-range": f"bytes {begin}-{end - 1}/{size}"})
    status = 200 if part is None else 206
    if request.method == "HEAD":
        file.close()
        return Response(None, status, headers, MEDIA_TYPE)
    return StreamingResponse(_chunks(file, begin, end), status, headers, MEDIA_TYPE)


def part_of(asked: str, size: int) -> tuple[int, int] | None:
    """Where the part begins and ends that a Range header asks for; None where it asks for none that can be told.

    Raises:
        RangeRefused: it begins behind the end.
    """
    found = ONE_RANGE.fullmatch(asked.strip())
    if found is None or not any(found.groups()):
        return None
    first, last = (int(text[:20]) if text else None for text in found.groups())
    if first is None:
        assert last is not None
        begin, end = max(size - last, 0), size
    else:
        begin, end = first, size if last is None else min(last + 1, size)
        if last is not None and last < first:
            return None
    if begin >= end:
        raise RangeRefused(
            f"The file has {size} bytes; {asked[:40]!r} is no part of it.", headers={"content-range": f"bytes */{size}"}
        )
    return begin, end


def _chunks(file: BufferedReader, begin: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(begin)
        while begin < end and (chunk := file.read(min(CHUNK_BYTES, end - begin))):
            begin += len(chunk)
            yield chunk
