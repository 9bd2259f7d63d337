"""One reader of the event log for all clients that wait: a long poll or a stream holds no thread and no connection.

While there are followers, the log is read every ``POLL_SECONDS``. New events are read once and passed to the followers
of their run and of all runs; others are not woken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from service.http.threads import run_to_end

LOG = logging.getLogger("fitwell.api")
POLL_SECONDS = 0.05
PAGE = 1000
MAX_UNREAD = 2000
"""Events that are buffered for a follower; a slower one reads the log itself."""


class StreamEvent(NamedTuple):
    """An event as streams send it, serialized once for all of them."""

    id: int
    run_id: str
    owner: str
    type: str
    message: bytes


class Follower:
    """The events of one run, or of all runs, from the moment it began to follow."""

    def __init__(self) -> None:
        self._unread: list[StreamEvent] = []
        self._news = asyncio.Event()
        self.missed = False
        """Whether events were dropped because the buffer was full; the log has them."""

    def push(self, event: StreamEvent) -> None:
        """Add an event and wake the reader."""
        if len(self._unread) < MAX_UNREAD:
            self._unread.append(event)
        else:
            self.missed = True
        self._news.set()

    def wake(self) -> None:
        """Wake the reader because the server shuts down."""
        self._news.set()

    async def news(self, seconds: float) -> Sequence[StreamEvent]:
        """Return the events since the last call; wait up to ``seconds`` for the first."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        unread, self._unread = self._unread, []
        return unread


class Tailer:
    """Reads the log while there are followers.

    Args:
        last_event_id: Returns the id of the newest event.
        events_after: Returns events after an id, at most a number of them.
    """

    def __init__(
        self, last_event_id: Callable[[], int], events_after: Callable[[int, int], Sequence[StreamEvent]]
    ) -> None:
        self._last_event_id = last_event_id
        self._events_after = events_after
        self._last = 0
        self._followers: dict[str | None, set[Follower]] = {}
        self._has_followers = asyncio.Event()
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    def start(self) -> None:
        """Start to watch the log, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Wake all followers for good: the server shuts down."""
        self.closed = True
        for follower in [one for followers in self._followers.values() for one in followers]:
            follower.wake()
        if self._task is not None:
            self._task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is read from the log any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    @contextlib.asynccontextmanager
    async def follow(self, run_id: str | None) -> AsyncIterator[Follower]:
        """Follow one run, or with None all runs: the follower gets every event that is committed from now on."""
        follower = Follower()
        async with self._changing:
            if not self._has_followers.is_set():  # earlier events concern no follower
                self._last = await run_to_end(self._last_event_id)
            self._followers.setdefault(run_id, set()).add(follower)
            self._has_followers.set()
        try:
            yield follower
        finally:
            self._followers[run_id].discard(follower)
            if not self._followers[run_id]:
                del self._followers[run_id]

    async def _watch(self) -> None:
        while True:
            await self._has_followers.wait()
            with contextlib.suppress(Exception):  # the database may be down; requests that need it report that
                if await run_to_end(self._last_event_id) > self._last:
                    self._distribute(await run_to_end(self._events_after, self._last, PAGE))
            async with self._changing:
                if not self._followers:
                    self._has_followers.clear()
            await asyncio.sleep(POLL_SECONDS)

    def _distribute(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            for follower in (*self._followers.get(event.run_id, ()), *self._followers.get(None, ())):
                follower.push(event)
            self._last = event.id
