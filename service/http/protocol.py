"""HTTP as uvicorn reads it, but for what has no end, before anybody is asked for a token.

Heads without an end it would collect in memory; connections on which no request comes are open files, until there can
be no more.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 2**10
HEAD_SECONDS = 30.0
"""How long a connection may be open, or go on after an answer, without a whole head of a request."""
REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """Ends a connection that sends more than ``MOST_HEAD_BYTES`` without a request beginning or a body going on.

    Headers, trailers and whatever else is no body are bounded so, in pieces or in one. What arrives in one piece with a
    beginning or a body is not counted: that is at most what the event loop reads at once.

    Ends one as well on which there has been nothing to answer for ``HEAD_SECONDS``.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._went_on = False
        self._collected = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._wait_no_longer()

    def _wait(self) -> None:
        """End the connection some time from now; more of what is no request does not put it off."""
        if self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        self._went_on = False
        super().data_received(data)
        self._collected = 0 if self._went_on else self._collected + len(data)
        if self._collected > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(REFUSAL)
            self.transport.close()
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._wait_no_longer()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._went_on = True
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A piece of a body came."""
        self._went_on = True
        super().on_body(body)
