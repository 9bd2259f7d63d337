"""The task that sends due deliveries: a bounded number at once, so that slow targets do not delay the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from service.errors import Unavailable
from service.webhooks.http_post import Post, Reply
from service.webhooks.outbox import Due, Outbox

T = TypeVar("T")
LOG = logging.getLogger("fitwell.webhooks")
POLL_SECONDS = 1.0
AT_ONCE = 128
FAILING_AT_ONCE = 64
"""Deliveries to failing endpoints among these: they wait for timeouts, and must not delay the others."""
BEGUN_AT_ONCE = 16
"""Deliveries that start at once, which bounds concurrent TLS handshakes."""
THREADS = 4
"""Concurrent transactions: requests need threads and connections, too."""
TESTS_AT_ONCE = 8
PRUNE_SECONDS = 600.0
GRACE_SECONDS = 3.0
"""How long a running attempt may continue during shutdown."""


class Sender:
    """Sends the deliveries in ``outbox`` with ``post``; several senders on one database share them."""

    def __init__(self, outbox: Outbox, post: Post, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._outbox = outbox
        self._post = post
        self._poll_seconds = poll_seconds
        self._sending: dict[asyncio.Task[None], Due] = {}
        self._free = asyncio.Event()
        self._threads = asyncio.Semaphore(THREADS)
        self._tests = 0
        self._closing = False
        self._pruned = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to send, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Claim no more deliveries; let running attempts finish, and release those that take too long."""
        self._closing = True
        self._free.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=GRACE_SECONDS)
            self._task.cancel()
        if self._sending:
            _, late = await asyncio.wait(list(self._sending), timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def send_test(self, lease: Callable[[], Due]) -> Due:
        """Send the delivery that ``lease`` creates at once, and record the result.

        Raises:
            Unavailable: Too many endpoints are being tested.
        """
        if self._tests >= TESTS_AT_ONCE:
            raise Unavailable(f"{TESTS_AT_ONCE} endpoints are being tested; try again.", headers={"retry-after": "10"})
        self._tests += 1
        try:
            due = await self._in_thread(lease)
            await self._send(due)
        finally:
            self._tests -= 1
        return due

    async def _in_thread(self, act: Callable[[], T]) -> T:
        async with self._threads:
            return await run_in_threadpool(act)

    async def _work(self) -> None:
        while not self._closing:
            busy = False
            try:
                busy = await self._in_thread(self._outbox.fill)
                busy |= await self._take()
                await self._prune_now_and_then()
            except Exception:
                busy = False
                LOG.exception("sending webhooks failed; trying again in %s s", self._poll_seconds)
            if not busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._free.wait(), self._poll_seconds)
            self._free.clear()

    async def _take(self) -> bool:
        """Start to send due deliveries as far as the limits allow; return whether there were any."""
        failing = sum(due.failing for due in self._sending.values())
        room = min(AT_ONCE - len(self._sending), BEGUN_AT_ONCE)
        if room <= 0:
            return False
        claim = partial(self._outbox.claim, room=room, failing_room=min(room, FAILING_AT_ONCE - failing))
        claimed = await self._in_thread(claim)
        for due in claimed:
            task = asyncio.get_running_loop().create_task(self._send(due))
            self._sending[task] = due
            task.add_done_callback(self._sent)
        return bool(claimed)

    def _sent(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        self._free.set()
        if not task.cancelled() and task.exception() is not None:
            LOG.error("the result of a webhook could not be recorded; it will be sent again", exc_info=task.exception())

    async def _send(self, due: Due) -> None:
        try:
            reply = await self._post(due.message)
        except asyncio.CancelledError:
            await self._in_thread(partial(self._outbox.release, due))
            raise
        except Exception as error:
            LOG.exception("unexpected error while sending a webhook")
            reply = Reply(seconds=0.0, error=f"{type(error).__name__}: unexpected error; see the server's log.")
        await self._in_thread(partial(self._outbox.record, due, reply))

    async def _prune_now_and_then(self) -> None:
        if time.monotonic() - self._pruned > PRUNE_SECONDS:
            self._pruned = time.monotonic()
            await self._in_thread(self._outbox.prune)
