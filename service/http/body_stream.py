"""Bodies as they arrive, with a time limit between two pieces."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from service.errors import BadRequest, TooLarge, Unavailable

MAX_SILENCE_SECONDS = 30.0
WRITE_BYTES = 2**20
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body piece by piece.

    Raises:
        BadRequest: The client disconnected or stopped sending.
    """
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(MAX_SILENCE_SECONDS):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            message = f"The body stopped arriving for {MAX_SILENCE_SECONDS:g} s; nothing was stored."
            raise BadRequest(message, headers={"connection": "close"}) from error
        except ClientDisconnect as error:
            raise BadRequest("The body is incomplete; nothing was stored.") from error
        yield piece


def media_type(request: Request) -> str:
    """Return the Content-Type without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def save_body(request: Request, file: Path, limit: int) -> None:
    """Write the body to ``file``, at most ``limit`` bytes, which FITWELL_MAX_UPLOAD_BYTES sets.

    Raises:
        TooLarge: The body exceeds ``limit``.
        BadRequest: The body did not arrive completely.
        Unavailable: The disk is full.
    """
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


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The file exceeds {limit:,} bytes (FITWELL_MAX_UPLOAD_BYTES).")
