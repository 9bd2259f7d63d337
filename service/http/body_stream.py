"""Bodies as they arrive, with a time limit between two pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.errors import BadRequest

MAX_SILENCE_SECONDS = 30.0


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
