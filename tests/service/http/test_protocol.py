"""Connections without a request are closed: each is an open file, and no token has been checked yet."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from service.http import protocol
from tests.patience import scaled

pytestmark = pytest.mark.slow

HEAD_SECONDS = 0.1
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An application that ignores the body, and is slow below /slow."""
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * HEAD_SECONDS)
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"7")]})
    await send({"type": "http.response.body", "body": b"a token"})


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", HEAD_SECONDS)
    config = uvicorn.Config(
        app, http=protocol.BoundedHeads, lifespan="off", log_level="critical", timeout_keep_alive=60
    )
    server, bound = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    with socket.create_connection(bound.getsockname(), timeout=scaled(20)) as connected:
        yield connected
    server.should_exit = True
    thread.join()


def until(connection: socket.socket, end: bytes) -> bytes:
    """Return what arrives until ``end``, or until the connection is closed."""
    output = b""
    while (not end or not output.endswith(end)) and (piece := connection.recv(1000)):
        output += piece
    return output


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r\n"], ids=["nothing", "half a head", "a line"]
)
def test_connection_without_a_request_is_closed(connection: socket.socket, sent: bytes) -> None:
    connection.sendall(sent)
    assert until(connection, b"") == b""


def test_unread_body_does_not_keep_a_connection_open(connection: socket.socket) -> None:
    connection.sendall(HEAD % b"/")
    assert until(connection, b"a token").endswith(b"a token")
    connection.sendall(b"x")
    assert until(connection, b"") == b""


def test_slow_response_is_delivered(connection: socket.socket) -> None:
    connection.sendall(HEAD % b"/slow")
    assert until(connection, b"a token").endswith(b"a token")
