"""The clients: one object for a server, resources as attributes. One waits for answers, the other is awaited."""

from __future__ import annotations

from types import TracebackType

from fitwell.catalog import Capabilities, Catalog, Presets
from fitwell.datasets import Datasets
from fitwell.requests import Plan, Request, read
from fitwell.runs import Runs
from fitwell.studies import Studies
from fitwell.sync_async import Bound, M, Resource, call
from fitwell.tokens import Tokens
from fitwell.transport import AsyncTransport, Transport
from fitwell.webhooks import Webhooks

__all__ = ["AsyncClient", "Bound", "Client"]


class _Server(Resource[M]):
    """What a server has, however it is asked."""

    def __init__(self, transport: M) -> None:
        super().__init__(transport)
        self.transport = transport
        self.runs: Runs[M] = Runs(transport)
        self.studies: Studies[M] = Studies(transport)
        self.datasets: Datasets[M] = Datasets(transport)
        self.presets: Presets[M] = Presets(transport)
        self.tokens: Tokens[M] = Tokens(transport)
        self.webhooks: Webhooks[M] = Webhooks(transport)

    @call
    def catalog(self) -> Plan[Catalog]:
        """Every part a spec can name."""
        return Catalog.model_validate((yield from read(Request("GET", "/v1/catalog"))))

    @call
    def capabilities(self) -> Plan[Capabilities]:
        """What the server takes, and its workers."""
        return Capabilities.model_validate((yield from read(Request("GET", "/v1/capabilities"))))


class Client(_Server[Transport]):
    """A Fitwell server. The address comes from ``url``, else FITWELL_URL, else this machine; the token likewise."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0) -> None:
        super().__init__(Transport(url, token, timeout))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self.transport.close()


class AsyncClient(_Server[AsyncTransport]):
    """A Fitwell server, for asyncio and trio: as ``Client``, and every call is awaited or iterated by ``async for``."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0) -> None:
        super().__init__(AsyncTransport(url, token, timeout))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.transport.close()
