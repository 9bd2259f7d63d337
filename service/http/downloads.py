"""Downloads: the digest is the ETag, ranges are supported, and the file is sent while it is open.

Several ranges, other units and malformed ranges are ignored, as RFC 9110 requires: the response is the whole file.
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
from service.http.conditional import matches, not_modified

CHUNK_BYTES = 2**18
ONE_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE)
MEDIA_TYPE = "application/octet-stream"


def file_responses(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that sends a file of this type."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": "The file.", "content": content},
        206: {"description": "The range of the file that Range names.", "content": {media_type: {}}},
        304: {"description": "The file has not changed."},
    }


FILE_RESPONSES = file_responses(MEDIA_TYPE)


def file_response(
    request: Request, file: BufferedReader, sha256: str, name: str, media_type: str = MEDIA_TYPE
) -> Response:
    """Return the open file, or the requested range of it, as a download called ``name``.

    Raises:
        PreconditionFailed: The file is not the one that If-Match names.
        RangeRefused: The range is outside the file.
    """
    tag = f'"{sha256}"'
    try:
        _check_if_match(request, tag)
        if not matches(request, tag):
            return _whole_or_range(request, file, tag, name, media_type)
    except Refusal:
        file.close()
        raise
    file.close()
    return not_modified(tag)


def _check_if_match(request: Request, tag: str) -> None:
    header = request.headers.get("if-match", "*").strip()
    if header != "*" and tag not in [one.strip() for one in header.split(",")]:
        raise PreconditionFailed(f"The file is {tag} now; download it without If-Match.")


def _whole_or_range(request: Request, file: BufferedReader, tag: str, name: str, media_type: str) -> Response:
    size = file.seek(0, 2)
    whole = request.method == "HEAD" or request.headers.get("if-range", tag) != tag
    requested = None if whole else range_of(request.headers.get("range", ""), size)
    begin, end = requested or (0, size)
    headers = {
        "etag": tag,
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(tag[1:-1])).decode()}:",
        "accept-ranges": "bytes",
        "content-length": str(end - begin),
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
    } | ({} if requested is None else {"content-range": f"bytes {begin}-{end - 1}/{size}"})
    status = 200 if requested is None else 206
    if request.method == "HEAD":
        file.close()
        return Response(None, status, headers, media_type)
    return StreamingResponse(_chunks(file, begin, end), status, headers, media_type)


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """Return where the range of a Range header begins and ends; None if the header has to be ignored.

    Raises:
        RangeRefused: The range begins after the end of the file.
    """
    match = ONE_RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = (int(text[:20]) if text else None for text in match.groups())
    if first is None:
        assert last is not None
        begin, end = max(size - last, 0), size
    else:
        begin, end = first, size if last is None else min(last + 1, size)
        if last is not None and last < first:
            return None
    if begin >= end:
        message = f"The file has {size} bytes; the range {header[:40]!r} is outside it."
        raise RangeRefused(message, headers={"content-range": f"bytes */{size}"})
    return begin, end


def _chunks(file: BufferedReader, begin: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(begin)
        while begin < end and (chunk := file.read(min(CHUNK_BYTES, end - begin))):
            begin += len(chunk)
            yield chunk
