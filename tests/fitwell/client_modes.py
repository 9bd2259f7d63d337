"""One question, asked by either client: the one that waits, or the one that is awaited."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio

import fitwell

Ask = Callable[..., Any]
WAYS = ("waits", "is awaited")
LOOPS = {"is awaited": "asyncio", "is awaited on trio": "trio"}


def asking(way: str, url: str) -> Ask:
    """A function that hands a client to the first of its arguments, and what came of that to the next."""

    def waited(*steps: Callable[[Any], Any]) -> Any:
        with fitwell.Client(url) as client:
            came: Any = client
            for step in steps:
                came = step(came)
                came = list(came) if isinstance(came, Iterator) else came
            return came

    def awaited(*steps: Callable[[Any], Any]) -> Any:
        async def main() -> Any:
            async with fitwell.AsyncClient(url) as client:
                came: Any = client
                for step in steps:
                    came = step(came)
                    if isinstance(came, AsyncIterator):
                        came = [one async for one in came]
                    elif inspect.isawaitable(came):
                        came = await came
                return came

        return anyio.run(main, backend=LOOPS[way])

    return waited if way == "waits" else awaited
