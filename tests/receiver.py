"""An HTTP server that receives webhooks: records the requests, and responds as a test prescribes."""

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
"""A status code, or a function that handles the open connection."""


@dataclass(frozen=True)
class Received:
    """A request as the server received it."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def payload(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str) -> Any:
        """Return the payload; raises the library's own error if the signature does not verify."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """Responds with ``answers`` in turn, then with ``default``; ``came`` has every request, also without a response."""

    port: int = 0
    host: str = "127.0.0.1"
    default: Answer = 204
    answers: list[Answer] = field(default_factory=list)
    came: list[Received] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """The server names in the TLS handshakes (SNI)."""

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
    receiver = Receiver(host=host, default=default, answers=list(answers))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                receiver.came.append(Received(self.path, headers, body, time.time()))
                answer = receiver.answers.pop(0) if receiver.answers else receiver.default
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - http.server calls it by this name

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def get_request(self) -> Any:
            accepted = super().get_request()
            receiver.connections.append(accepted[1][0])
            return accepted

        def handle_error(self, *_: object) -> None:
            pass  # clients that disconnect are part of the tests

    with Server((host, port), Handler) as server:
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: receiver.names.append(name)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def certificate(directory: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return TLS contexts: a server's with a self-signed certificate for ``names``, and a trusting client's."""
    key_file = directory / f"{names[0]}.pem"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={names[0]}"]
    command += [
        "-addext",
        f"subjectAltName={alternatives}",
        "-keyout",
        str(key_file),
        "-out",
        str(key_file.with_suffix(".crt")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(key_file.with_suffix(".crt"), key_file)
    return server, ssl.create_default_context(cafile=key_file.with_suffix(".crt"))
