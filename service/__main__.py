"""The service's processes.

python -P -m service               serve the API until told to stop
python -P -m service token BODY    make a token in the database, as POST /v1/tokens does: for whoever has no admin's
python -P -m service backup PATH   copy the data directory while it is in use
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from dataclasses import asdict
from pathlib import Path

import uvicorn

from service.app import create_app
from service.backup import back_up
from service.errors import Refusal
from service.http.bodies import parse
from service.http.protocol import BoundedHeads
from service.settings import Settings, SettingsError, load
from service.store.database import StoreError, migrate, open_engine
from service.tokens.schemas import NewTokenView, TokenBody
from service.tokens.service import Tokens
from worker import logs

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
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service")
    verbs = parser.add_subparsers(dest="verb")
    making = verbs.add_parser("token", help="make a token and print it as JSON")
    making.add_argument("body", help="the body of POST /v1/tokens")
    copying = verbs.add_parser("backup", help="copy the data directory while it is in use")
    copying.add_argument("path", help="where to; there must be nothing yet")
    given = parser.parse_args()
    try:
        settings = load()
        logs.set_up(settings.log_level, settings.log_format)
        if given.verb == "backup":
            return _back_up(settings, Path(given.path))
        return _serve(settings) if given.verb is None else _make_token(settings, given.body)
    except (Refusal, SettingsError, StoreError) as error:
        print(f"fitwell: {error}", file=sys.stderr)  # noqa: T201
        return FAILED


def _serve(settings: Settings) -> int:
    try:
        bound = listen(settings.host, settings.port)
    except OSError as error:
        print(  # noqa: T201
            f"fitwell: {settings.host}:{settings.port} cannot be listened on ({error.strerror}). "
            "Another program may have it; choose another with --port.",
            file=sys.stderr,
        )
        return FAILED
    app = create_app(settings, address=bound.getsockname()[0])
    _show_first_token(app.state.services[Tokens])
    config = uvicorn.Config(
        app,
        http=BoundedHeads,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        proxy_headers=False,  # nobody's word is taken for where a request came from
    )
    Server(config).run([bound])
    return 0


def _show_first_token(tokens: Tokens) -> None:
    """Print an admin's token where tokens are needed and there is none."""
    made = tokens.first_admin()
    if made is not None:
        told = (
            "fitwell: this server answers to nobody without a token. The first admin token, shown only this once:",
            f"    {made[1]}",
            "Send it as the header Authorization: Bearer fw_…; the fitwell command takes it from FITWELL_TOKEN.",
            "The dashboard, which a browser shows here, asks for it.",
            "Tokens for others: fitwell token create --owner NAME --name WHERE --scope write",
        )
        print("\n".join(told), flush=True)  # noqa: T201


def _make_token(settings: Settings, body: str) -> int:
    """Make a token, as whoever holds the database may."""
    new = parse(TokenBody, body.encode()).new_token()
    engine = open_engine(settings)
    migrate(engine)
    made = Tokens(engine, settings, exposed=False).create(new)
    print(NewTokenView.with_secret(*made).model_dump_json())  # noqa: T201
    return 0


def _back_up(settings: Settings, path: Path) -> int:
    """Copy the data directory, and tell what was copied."""
    print(json.dumps(asdict(back_up(settings, path))))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
