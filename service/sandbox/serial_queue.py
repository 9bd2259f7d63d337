"""One after the other: a turn that is waited for, but not for long, and not in a long queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from service.errors import Unavailable

MOST_WAITING = 32
"""Requests that wait for their turn, at most; each holds its body in memory."""
SOON = {"retry-after": "1"}


class Turns:
    """Turns of whatever can be done for one request at a time; none is waited for longer than ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def own(self) -> AsyncIterator[None]:
        """Wait until it is free.

        Raises:
            Unavailable: too many others wait, or it took too long.
        """
        others = Unavailable("Other predictions and pictures are before this one. Try again.", headers=SOON)
        if self._waiting >= MOST_WAITING:
            raise others
        self._waiting += 1
        try:
            await asyncio.wait_for(self._turn.acquire(), self._seconds)
        except TimeoutError as error:
            raise others from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()
