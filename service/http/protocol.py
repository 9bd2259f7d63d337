"""uvicorn's HTTP protocol with limits that apply before authentication.

uvicorn itself would buffer a request head of any length, and keep connections without a request open until the process
has no file descriptors left.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 2**10
HEAD_SECONDS = 30.0
"""How long a connection may be open, or stay open after a response, without a complete request head."""
REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """Closes connections with long or late request heads.

    More than ``MAX_HEAD_BYTES`` without a new request or a piece of a body are refused. That bounds headers, trailers
    and anything else outside bodies, in one piece or in many. A piece that starts a request or contains a body is not
    counted; it is at most as large as one read of the event loop.

    A connection that has had nothing to serve for ``HEAD_SECONDS`` is closed as well.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._progressed = False
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        self._stop_timer()

    def _start_timer(self) -> None:
        """Close the connection later; bytes that are not a whole head do not postpone it."""
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and count it if it is part of a head."""
        self._progressed = False
        super().data_received(data)
        self._head_bytes = 0 if self._progressed else self._head_bytes + len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(REFUSAL)
            self.transport.close()
        if self.cycle is None or self.cycle.response_complete:
            self._start_timer()
        else:
            self._stop_timer()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._progressed = True
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Note that a piece of a body arrived."""
        self._progressed = True
        super().on_body(body)
