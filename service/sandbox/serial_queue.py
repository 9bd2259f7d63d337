"""A queue that admits one request at a time, with limits on its length and on the wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from service.errors import Unavailable

MAX_WAITING = 32
"""Waiting requests at most; each holds its body in memory."""
RETRY_SOON = {"retry-after": "1"}


class SerialQueue:
    """Admits one request at a time; requests wait up to ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until no other request is admitted.

        Raises:
            Unavailable: Too many requests are waiting, or the wait took too long.
        """
        busy = Unavailable("Too many predictions and pictures are in progress. Try again.", headers=RETRY_SOON)
        if self._waiting >= MAX_WAITING:
            raise busy
        self._waiting += 1
        try:
            await asyncio.wait_for(self._lock.acquire(), self._seconds)
        except TimeoutError as error:
            raise busy from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()
