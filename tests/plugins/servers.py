"""Third-party servers that tests start, from an environment of their own that ``make test`` creates."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.patience import eventually, scaled
from tests.processes import free_port

if TYPE_CHECKING:
    from obstore.store import S3Store

SERVERS = Path(os.environ.get("FITWELL_TEST_SERVERS") or Path(sys.prefix) / "servers" / "bin")


def installed(name: str) -> str:
    """Return the path of a server's command; skips the test if it is not installed."""
    if not (SERVERS / name).exists():
        pytest.skip(f"{name} is not installed: make test installs it")
    return str(SERVERS / name)


def installed_python(name: str) -> str:
    """Return the Python of an environment that ``make peers`` installs; skips the test if it is not installed."""
    path = Path(sys.prefix) / name / "bin/python"
    if not path.exists():
        pytest.skip(f"{name} is not installed: make test installs it")
    return str(path)


def server_environment() -> dict[str, str]:
    """Return an environment in which Python compiles what a server imports once, not at each start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Gate:
    """A proxy in front of a server. While it is shut, it counts connections and closes them."""

    def __init__(self, to: int) -> None:
        self.shut, self.turned_away = False, 0
        self._to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._pass, args=(connection,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        """Forward both directions piece by piece, so that a gate that shuts also cuts open connections."""
        with client, contextlib.suppress(OSError):
            if self.shut:
                self.turned_away += 1
                return
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
                back.start()
                self._carry(client, server)
                back.join()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(2**16):
                if self.shut:
                    self.turned_away += 1
                    break
                target.sendall(content)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@dataclass(frozen=True)
class Storage:
    """An empty bucket on a real server, behind a gate."""

    url: str
    environment: Mapping[str, str]
    gate: Gate

    def store(self, folder: str) -> S3Store:
        """Return a store of a folder, built without the code under test."""
        from obstore.store import S3Store

        bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        return S3Store(
            bucket,
            prefix=f"{prefix}/{folder}",
            endpoint=self.environment["AWS_ENDPOINT_URL"],
            access_key_id="test",
            secret_access_key="nothing",
            client_options={"allow_http": True},
        )

    def names(self, folder: str) -> set[str]:
        """Return the names in a folder."""
        import obstore

        return {one["path"] for some in obstore.list(self.store(folder)) for one in some}


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with the API of S3."""
    command, port = installed("moto_server"), free_port()
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as output:
        line = [command, "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(line, env=server_environment(), stdout=output, stderr=output)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"http://127.0.0.1:{port}/moto-api/").status_code == 200
        return False

    try:
        eventually(ready, 60)
        yield port
    finally:
        process.terminate()
        process.wait(scaled(30))


@pytest.fixture
def storage(s3_port: int) -> Iterator[Storage]:
    bucket = f"fitwell-{uuid.uuid4().hex[:12]}"
    assert httpx2.put(f"http://127.0.0.1:{s3_port}/{bucket}").status_code == 200
    gate = Gate(s3_port)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{gate.port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "nothing",
    }
    yield Storage(f"s3://{bucket}/some/where", environment, gate)
    gate.close()
