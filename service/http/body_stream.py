"""Bodies as they arrive: piece by piece, each of which comes soon after the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.errors import BadRequest

SILENT_SECONDS = 30.0
"""How long a body may stop arriving."""


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body.

    Raises:
        BadRequest: it broke off, or stopped arriving.
    """
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            message = f"Nothing more of the body came for {SILENT_SECONDS:g} s; nothing was kept."
            raise BadRequest(message, headers={"connection": "close"}) from error
        except ClientDisconnect as error:
            raise BadRequest("The body broke off; nothing was kept.") from error
        yield piece
