"""The service's commands.

python -P -m service               serve the API until the process is stopped
python -P -m service token BODY    create a token in the database, as POST /v1/tokens does: for the first admin
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
from worker import lifetime, logs

FAILED = 1
GRACE_SECONDS = 3


class Server(uvicorn.Server):
    """A server that prints when it is ready, and ends streams before it stops."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        for listening in sockets or ():
            host, port, *_ = listening.getsockname()
            print(f"fitwell: ready at http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and long polls, then the rest."""
        self.config.app.state.tailer.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the address.

    Raises:
        OSError: The address is in use, or not one of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    return bound


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service")
    parser.add_argument(lifetime.OPTION, action="store_true", help="end when standard input ends")
    verbs = parser.add_subparsers(dest="verb")
    token = verbs.add_parser("token", help="create a token and print it as JSON")
    token.add_argument("body", help="the body of POST /v1/tokens")
    backup = verbs.add_parser("backup", help="copy the data directory while it is in use")
    backup.add_argument("path", help="the directory to create")
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        lifetime.end_with_parent()
    try:
        settings = load()
        logs.set_up(settings.log_level, settings.log_format)
        if arguments.verb == "backup":
            return _back_up(settings, Path(arguments.path))
        return _serve(settings) if arguments.verb is None else _create_token(settings, arguments.body)
    except (Refusal, SettingsError, StoreError) as error:
        print(f"fitwell: {error}", file=sys.stderr)  # noqa: T201
        return FAILED


def _serve(settings: Settings) -> int:
    try:
        bound = listen(settings.host, settings.port)
    except OSError as error:
        print(  # noqa: T201
            f"fitwell: cannot listen on {settings.host}:{settings.port} ({error.strerror}). "
            "Another program may use the port; choose another one with --port.",
            file=sys.stderr,
        )
        return FAILED
    app = create_app(settings, address=bound.getsockname()[0])
    _print_first_token(app.state.services[Tokens])
    config = uvicorn.Config(
        app,
        http=BoundedHeads,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        proxy_headers=False,  # clients could forge their address
    )
    Server(config).run([bound])
    return 0


def _print_first_token(tokens: Tokens) -> None:
    """Create and print an admin's token if tokens are required and none exists."""
    first = tokens.first_admin()
    if first is not None:
        lines = (
            "fitwell: this server requires a token. The first admin token, which is not shown again:",
            f"    {first[1]}",
            "Send it as the header Authorization: Bearer fw_…; the fitwell command reads it from FITWELL_TOKEN.",
            "The dashboard asks for it when you sign in.",
            "Create tokens for others with: fitwell token create --owner NAME --name WHERE --scope write",
        )
        print("\n".join(lines), flush=True)  # noqa: T201


def _create_token(settings: Settings, body: str) -> int:
    """Create a token with the rights of a local admin."""
    new = parse(TokenBody, body.encode()).new_token()
    engine = open_engine(settings)
    migrate(engine)
    token, secret = Tokens(engine, settings, exposed=False).create(new)
    print(NewTokenView.with_secret(token, secret).model_dump_json())  # noqa: T201
    return 0


def _back_up(settings: Settings, path: Path) -> int:
    """Copy the data directory, and print a summary."""
    print(json.dumps(asdict(back_up(settings, path))))  # noqa: T201
    return 0
