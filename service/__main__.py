"""``python -P -m service``: serve the API until told to stop."""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn

from service.app import create_app
from service.settings import SettingsError, load
from service.store.database import StoreError

FAILED = 1
GRACE_SECONDS = 3


class Server(uvicorn.Server):
    """Says when it is ready, and lets waiting clients go before it ends."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        for listening in sockets or ():
            host, port, *_ = listening.getsockname()
            print(f"fitwell: ready at http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and long polls, then the rest."""
        self.config.app.state.tailer.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address.

    Raises:
        OSError: the address is in use or not this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    return bound


def main() -> int:
    """Serve; the exit code."""
    try:
        settings = load()
    except SettingsError as error:
        print(f"fitwell: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        bound = listen(settings.host, settings.port)
    except OSError as error:
        print(  # noqa: T201
            f"fitwell: {settings.host}:{settings.port} cannot be listened on ({error.strerror}). "
            "Another program may have it; choose another with --port.",
            file=sys.stderr,
        )
        return FAILED
    try:
        app = create_app(settings)
    except StoreError as error:
        print(f"fitwell: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, server_header=False
    )
    Server(config).run([bound])
    return 0


if __name__ == "__main__":
    sys.exit(main())
