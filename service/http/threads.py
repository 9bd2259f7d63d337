"""Calls in threads whose end a cancelled task waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")


async def run_to_end(act: Callable[..., T], *arguments: object) -> T:
    """Call ``act`` in a thread, and return what it returns.

    A task that is cancelled meanwhile ends after the thread, so that what both use can be closed then.
    """
    work = asyncio.ensure_future(run_in_threadpool(act, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
