"""The synchronous and the asynchronous client: one object per server, resources as attributes."""

from __future__ import annotations

from types import TracebackType

from fitwell.catalog import Capabilities, Catalog, Presets
from fitwell.datasets import Datasets
from fitwell.reproductions import Reproductions
from fitwell.requests import Flow, Request, fetch_json
from fitwell.runs import Runs
from fitwell.studies import Studies
from fitwell.sync_async import Resource, TransportT, call
from fitwell.tokens import Tokens
from fitwell.transport import AsyncTransport, Transport
from fitwell.webhooks import Webhooks


class _Server(Resource[TransportT]):
    """The resources of a server."""

    def __init__(self, transport: TransportT) -> None:
        super().__init__(transport)
        self.transport = transport
        self.runs: Runs[TransportT] = Runs(transport)
        self.studies: Studies[TransportT] = Studies(transport)
        self.reproductions: Reproductions[TransportT] = Reproductions(transport)
        self.datasets: Datasets[TransportT] = Datasets(transport)
        self.presets: Presets[TransportT] = Presets(transport)
        self.tokens: Tokens[TransportT] = Tokens(transport)
        self.webhooks: Webhooks[TransportT] = Webhooks(transport)

    @call
    def catalog(self) -> Flow[Catalog]:
        """Return every part a spec can use, with its schema."""
        return Catalog.model_validate((yield from fetch_json(Request("GET", "/v1/catalog"))))

    @call
    def capabilities(self) -> Flow[Capabilities]:
        """Return the server's versions, limits and workers."""
        return Capabilities.model_validate((yield from fetch_json(Request("GET", "/v1/capabilities"))))


class Client(_Server[Transport]):
    """A synchronous client. ``url`` and ``token`` default to FITWELL_URL and FITWELL_TOKEN, then to a local server."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0) -> None:
        super().__init__(Transport(url, token, timeout))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()


class AsyncClient(_Server[AsyncTransport]):
    """An asynchronous client for asyncio and trio, with the methods of ``Client``: await them or use ``async for``."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0) -> None:
        super().__init__(AsyncTransport(url, token, timeout))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.close()
