"""One reader of the event log for all that wait: a long poll or a stream never holds a thread or a connection.

While anybody follows, the log is looked at every ``POLL_SECONDS``; what is new is read once and handed to whom it
concerns. Who waits for another run is not woken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

LOG = logging.getLogger("fitwell.api")
POLL_SECONDS = 0.05
PAGE = 1000
MOST_UNREAD = 2000
"""Events that are kept for a follower; one that is slower than that reads the log itself."""


class StreamEvent(NamedTuple):
    """An event as a stream sends it, written once for all who wait for it."""

    id: int
    run_id: str
    owner: str
    type: str
    message: bytes


class Follower:
    """Hears what happens to one run, or to all of them, from the moment on at which it began to follow."""

    def __init__(self) -> None:
        self._unread: list[StreamEvent] = []
        self._news = asyncio.Event()
        self.missed = False
        """Whether there was more than could be kept: what is missing stands in the log."""

    def tell(self, event: StreamEvent) -> None:
        """Something happened."""
        if len(self._unread) < MOST_UNREAD:
            self._unread.append(event)
        else:
            self.missed = True
        self._news.set()

    def wake(self) -> None:
        """Wait no longer: the server ends."""
        self._news.set()

    async def news(self, seconds: float) -> Sequence[StreamEvent]:
        """What happened since the last call; waits for something, for at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        unread, self._unread = self._unread, []
        return unread


class Tailer:
    """Reads the log while anybody follows. ``events_after`` gives events behind an id, at most so many."""

    def __init__(
        self, last_event_id: Callable[[], int], events_after: Callable[[int, int], Sequence[StreamEvent]]
    ) -> None:
        self._last_event_id = last_event_id
        self._events_after = events_after
        self._last = 0
        self._followers: dict[str | None, set[Follower]] = {}
        self._wanted = asyncio.Event()
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    def start(self) -> None:
        """Begin to watch, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Wake everybody for good: the server ends."""
        self.closed = True
        for follower in [one for followers in self._followers.values() for one in followers]:
            follower.wake()
        if self._task is not None:
            self._task.cancel()

    @contextlib.asynccontextmanager
    async def follow(self, run_id: str | None) -> AsyncIterator[Follower]:
        """Follow one run, or with None all: every event that is committed from now on will be told."""
        follower = Follower()
        async with self._beginning:
            if not self._wanted.is_set():  # nobody watched: what was until now is history
                self._last = await run_in_threadpool(self._last_event_id)
            self._followers.setdefault(run_id, set()).add(follower)
            self._wanted.set()
        try:
            yield follower
        finally:
            self._followers[run_id].discard(follower)
            if not self._followers[run_id]:
                del self._followers[run_id]

    async def _watch(self) -> None:
        while True:
            await self._wanted.wait()
            with contextlib.suppress(Exception):  # the database may be away for a while; whoever asks it will hear so
                if await run_in_threadpool(self._last_event_id) > self._last:
                    self._tell(await run_in_threadpool(self._events_after, self._last, PAGE))
            async with self._beginning:
                if not self._followers:
                    self._wanted.clear()
            await asyncio.sleep(POLL_SECONDS)

    def _tell(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            for follower in (*self._followers.get(event.run_id, ()), *self._followers.get(None, ())):
                follower.tell(event)
            self._last = event.id
