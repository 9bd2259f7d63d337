"""Calls with either client: the synchronous or the asynchronous one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio

import fitwell

Ask = Callable[..., Any]
WAYS = ("waits", "is awaited")
LOOPS = {"is awaited": "asyncio", "is awaited on trio": "trio"}


def call_with(way: str, url: str) -> Ask:
    """Return a function that passes a client through its arguments: each receives the result of the one before."""

    def waited(*steps: Callable[[Any], Any]) -> Any:
        with fitwell.Client(url) as client:
            result: Any = client
            for step in steps:
                result = step(result)
                result = list(result) if isinstance(result, Iterator) else result
            return result

    def awaited(*steps: Callable[[Any], Any]) -> Any:
        async def main() -> Any:
            async with fitwell.AsyncClient(url) as client:
                result: Any = client
                for step in steps:
                    result = step(result)
                    if isinstance(result, AsyncIterator):
                        result = [one async for one in result]
                    elif inspect.isawaitable(result):
                        result = await result
                return result

        return anyio.run(main, backend=LOOPS[way])

    return waited if way == "waits" else awaited
