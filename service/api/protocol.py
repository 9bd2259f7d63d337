"""HTTP as uvicorn reads it, but for heads without an end: those it would collect in memory, before anybody is asked."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 2**10
REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """Ends a connection that sends more than ``MOST_HEAD_BYTES`` without a request beginning or a body going on.

    Headers, trailers and whatever else is no body are bounded so, in pieces or in one. What arrives in one piece with a
    beginning or a body is not counted: that is at most what the event loop reads at once.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._went_on = False
        self._collected = 0

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        self._went_on = False
        super().data_received(data)
        self._collected = 0 if self._went_on else self._collected + len(data)
        if self._collected > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._went_on = True
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A piece of a body came."""
        self._went_on = True
        super().on_body(body)
