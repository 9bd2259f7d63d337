"""Uploads as they arrive: counted, written to disk, and what the query says of them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from service.datasets.errors import WrongFileType
from service.errors import TooLarge, Unavailable
from service.http.body_stream import pieces
from service.sandbox.parsing.options import Format, Options, Task

OCTETS = "application/octet-stream"
FORMATS: dict[str, Format | None] = {
    OCTETS: None,
    "application/zip": None,
    "application/x-zip-compressed": None,
    "application/x-npz": "npz",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
}
"""What a Content-Type says of the format; None leaves it to the first bytes."""
WRITTEN_AT_ONCE = 2**20
FULL = (errno.ENOSPC, errno.EDQUOT)


def file_of(example: str) -> dict[str, Any]:
    """The request body in OpenAPI of a route that takes a file; generators know this type and not the others."""
    content = {"schema": {"type": "string", "format": "binary"}, "example": example}
    others = ", ".join(name for name in FORMATS if name != OCTETS)
    told = f"The file itself. Other types that it may have: {others}."
    return {"requestBody": {"required": True, "description": told, "content": {OCTETS: content}}}


async def _options(
    request: Request,
    format: Annotated[  # noqa: A002
        Format | None, Query(description="Of the file; found out from Content-Type and first bytes where left out.")
    ] = None,
    target: Annotated[str | None, Query(description="Of a table: the column to predict; default the last.")] = None,
    drop: Annotated[list[str], Query(description="Of a table: columns to leave out.")] = [],  # noqa: B006
    header: Annotated[bool | None, Query(description="Of CSV: whether the first row names the columns.")] = None,
    task: Annotated[
        Task | None, Query(description="Default classification for text and up to 20 whole numbers, else regression.")
    ] = None,
    test_size: Annotated[
        float | None, Query(gt=0, le=2**53, description="Rows that test: a share below 1, or a number. Default 0.2.")
    ] = None,
    order: Annotated[
        Literal["random", "time"] | None, Query(description="`time`: the last rows test, as a series asks for.")
    ] = None,
    seed: Annotated[int, Query(ge=0, le=2**53 - 1, description="Decides which rows test.")] = 0,
    grey: Annotated[bool, Query(description="Of pictures: make them grey.")] = False,
) -> Options:
    said = FORMATS.get(_media_type(request))
    return Options(
        format=format or said,
        target=target,
        drop=tuple(drop),
        header=header,
        task=task,
        test_size=test_size,
        order=order,
        seed=seed,
        grey=grey,
    )


OptionsOf = Annotated[Options, Depends(_options)]
PARAMETERS = ("name", "format", "target", "drop", "header", "task", "test_size", "order", "seed", "grey")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def save(request: Request, file: Path, limit: int) -> None:
    """Write the body to ``file``, at most ``limit`` bytes of it.

    Raises:
        WrongFileType: it is not said to be a file of data.
        TooLarge: there is more.
        BadRequest: it broke off, or stopped arriving.
        Unavailable: the disk is full.
    """
    if _media_type(request) not in FORMATS:
        known = ", ".join(FORMATS)
        raise WrongFileType(f"The body's type is {_media_type(request) or 'not given'!r}; send one of {known}.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    try:
        with file.open("xb") as opened:
            await _copy(request, opened, limit)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise Unavailable("The disk is full; nothing was kept.", headers={"retry-after": "60"}) from error


async def _copy(request: Request, file: BinaryIO, limit: int) -> None:
    waiting, size = bytearray(), 0
    async for chunk in pieces(request):
        waiting += chunk
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if len(waiting) >= WRITTEN_AT_ONCE:
            await run_in_threadpool(file.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(file.write, bytes(waiting))


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The file has more than {limit:,} bytes, the most this server takes (FITWELL_MAX_UPLOAD_BYTES).")
