"""Transports execute flows over HTTP, one synchronously and one asynchronously; they do not differ otherwise."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import httpx2

from fitwell.errors import BadAddress
from fitwell.execution import AsyncExecution, Execution
from fitwell.listed import Listed
from fitwell.requests import Flow, ItemFlow, Request, Yield, send, stream_once

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8000"


class _Address:
    """The address and the token of a server, from the arguments or from the environment."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        self.url = (url or os.environ.get("FITWELL_URL") or DEFAULT_URL).strip().rstrip("/")
        token = (token or os.environ.get("FITWELL_TOKEN") or "").strip()
        if not self.url.startswith(("http://", "https://")) or not self.url.isprintable():
            raise BadAddress(f"Invalid server address {self.url!r}. Use an address such as {DEFAULT_URL}.")
        if not (token.isascii() and token.isprintable()):
            raise BadAddress(
                "The token (FITWELL_TOKEN or token=…) contains invalid characters. "
                "A token starts with fw_ and consists of printable ASCII characters."
            )
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._options: dict[str, Any] = {"base_url": self.url, "headers": headers, "timeout": timeout}


class Transport(_Address):
    """A synchronous connection to one server."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        super().__init__(url, token, timeout)
        self._http = httpx2.Client(**self._options)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Execute a flow and return its result."""
        with Execution(self.url, self._http, flow) as execution:
            return execution.result()

    def items(self, flow: ItemFlow[T]) -> Iterator[T]:
        """Execute a flow and yield its items."""
        with Execution(self.url, self._http, flow) as execution:
            while isinstance(step := execution.next(), Yield):
                yield step.item

    def listed(self, flow: ItemFlow[T]) -> Listed[T]:
        """Return the items of a flow, which is executed as far as they are needed."""
        return Listed(self.items(flow))

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a custom request and return the response; ``options`` are the fields of ``requests.Request``.

        Raises:
            Refused: The server rejected the request.
            Unreachable: No server responded to any of the tries.
        """
        return self.run(send(Request(method, path, **options)))

    def events(self, path: str, after: int = 0) -> Iterator[httpx2.ServerSentEvent]:
        """Yield server-sent events after id ``after`` over a single connection, until it ends.

        Raises:
            Refused: The server rejected the request.
            Unreachable: No server responded, or the connection was cut.
        """
        return self.items(stream_once(path, after))


class AsyncTransport(_Address):
    """An asynchronous connection to one server."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        super().__init__(url, token, timeout)
        self._http = httpx2.AsyncClient(**self._options)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Execute a flow and return its result."""
        async with AsyncExecution(self.url, self._http, flow) as execution:
            return await execution.result()

    async def items(self, flow: ItemFlow[T]) -> AsyncIterator[T]:
        """Execute a flow and yield its items."""
        async with AsyncExecution(self.url, self._http, flow) as execution:
            while isinstance(step := await execution.next(), Yield):
                yield step.item

    def listed(self, flow: ItemFlow[T]) -> AsyncIterator[T]:
        """Execute a flow and yield its items."""
        return self.items(flow)

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a custom request and return the response; ``options`` are the fields of ``requests.Request``.

        Raises:
            Refused: The server rejected the request.
            Unreachable: No server responded to any of the tries.
        """
        return await self.run(send(Request(method, path, **options)))

    def events(self, path: str, after: int = 0) -> AsyncIterator[httpx2.ServerSentEvent]:
        """Yield server-sent events after id ``after`` over a single connection, until it ends.

        Raises:
            Refused: The server rejected the request.
            Unreachable: No server responded, or the connection was cut.
        """
        return self.items(stream_once(path, after))
