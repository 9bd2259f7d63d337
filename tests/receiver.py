"""A real HTTP server that webhooks are sent to: keeps what came, answers as it is told."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

Answer = int | Callable[[BaseHTTPRequestHandler], None]
"""A status code, or whatever is to be done with the open connection."""


@dataclass(frozen=True)
class Received:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str) -> Any:
        """What it says, if the signature is right; the library's own verdict."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """Answers with ``answers`` one after the other, then with ``default``; ``came`` is what came, also unanswered."""

    port: int = 0
    host: str = "127.0.0.1"
    default: Answer = 204
    answers: list[Answer] = field(default_factory=list)
    came: list[Received] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """The server names that TLS asked for."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.came]


@contextmanager
def receiving(
    *answers: Answer, default: Answer = 204, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    there = Receiver(host=host, default=default, answers=list(answers))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                there.came.append(Received(self.path, headers, body, time.time()))
                answer = there.answers.pop(0) if there.answers else there.default
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - as the server wants it

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def get_request(self) -> Any:
            accepted = super().get_request()
            there.connections.append(accepted[1][0])
            return accepted

        def handle_error(self, *_: object) -> None:
            pass  # who hangs up in the middle is no error here

    with Server((host, port), Handler) as server:
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: there.names.append(name)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        there.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield there
        finally:
            server.shutdown()
            thread.join()


def certificate(directory: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A certificate for ``names`` that signs itself: the server's side of it, and the side that trusts it."""
    made = directory / f"{names[0]}.pem"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={names[0]}"]
    command += [
        "-addext",
        f"subjectAltName={alternatives}",
        "-keyout",
        str(made),
        "-out",
        str(made.with_suffix(".crt")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.with_suffix(".crt"), made)
    return server, ssl.create_default_context(cafile=made.with_suffix(".crt"))
