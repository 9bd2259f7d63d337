"""One watcher of the event log for all that wait: a long poll or a stream never holds a thread or a connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

LOG = logging.getLogger("fitwell.api")
POLL_SECONDS = 0.05


class Tailer:
    """Asks for the newest event's id while anybody waits for a newer one, and wakes them."""

    def __init__(self, last_event_id: Callable[[], int]) -> None:
        self._last_event_id = last_event_id
        self._last = 0
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    @property
    def last(self) -> int:
        """The newest id seen; never ahead of the log, perhaps a little behind it."""
        return self._last

    def start(self) -> None:
        """Begin to watch, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Wake everybody for good: the server ends."""
        self.closed = True
        self._changed.set()
        if self._task is not None:
            self._task.cancel()

    async def wait(self, seen: int, seconds: float) -> bool:
        """Wait until there is an event behind ``seen``, for at most ``seconds``; whether there is."""
        self._waiting += 1
        self._wanted.set()
        try:
            async with asyncio.timeout(seconds):
                while self._last <= seen and not self.closed:
                    await self._changed.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return not self.closed

    async def _watch(self) -> None:
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._wanted.wait()
            with contextlib.suppress(Exception):  # the database may be away for a while; whoever asks it will hear so
                last = await run_in_threadpool(self._last_event_id)
                if last != self._last:
                    self._last = last
                    changed, self._changed = self._changed, asyncio.Event()
                    changed.set()
            await asyncio.sleep(POLL_SECONDS)
