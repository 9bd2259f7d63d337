"""Fitwell as users start it: ``fitwell serve``, with real processes on a real port."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import psutil

import fitwell
from service.settings import Settings
from service.store.database import migrate, open_engine
from tests import warm
from tests.patience import eventually, scaled

UNBROKEN_LEASE = "120"
"""Seconds, for tests in which no process is lost: a heartbeat that a busy machine delays must not end a lease."""


def quick_settings() -> dict[str, str]:
    """Return an environment in which faults are noticed within seconds. Leases outlast the delays of a busy machine."""
    return {
        "FITWELL_LEASE_SECONDS": f"{scaled(3):.1f}",
        "FITWELL_HEARTBEAT_SECONDS": "0.5",
        "FITWELL_REAP_SECONDS": "0.5",
        "FITWELL_CHECKPOINT_SECONDS": "0.3",
        "FITWELL_THREADS": "1",
    }


@functools.cache
def migrated_sqlite() -> Path:
    """Return the file of a migrated and empty SQLite database; copying it is faster than migrating."""
    home = Path(tempfile.mkdtemp(prefix="fitwell-migrated-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    engine = open_engine(Settings(data_dir=home))
    migrate(engine)
    engine.dispose()
    return home / "fitwell.db"


def fill_home(home: Path) -> Path:
    """Create a data directory with a migrated and empty SQLite database unless it exists, and return it."""
    if not home.exists():
        home.mkdir(parents=True)
        shutil.copyfile(migrated_sqlite(), home / "fitwell.db")
    return home


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Serving:
    """A running ``fitwell serve``."""

    start: ClassVar[Callable[..., subprocess.Popen[bytes]]] = warm.Popen

    def __init__(self, home: Path, port: int, *, workers: int = 1, **settings: str) -> None:
        self.home, self.port = home, port
        self.client = fitwell.Client(f"http://127.0.0.1:{port}")
        environment = {**os.environ, **quick_settings(), **settings}
        if "FITWELL_DATABASE_URL" not in environment:
            fill_home(home)
        command = [sys.executable, "-P", "-m", "fitwell.cli", "serve", "--data-dir", str(home), "--port", str(port)]
        command += ["--workers", str(workers)]
        self.log = (home.parent / f"serve-{port}.log").open("ab")
        self.process = self.start(command, env=environment, stdout=self.log, stderr=subprocess.STDOUT)
        try:
            eventually(self.ready)
        except BaseException:
            self.process.terminate()
            self.process.wait()
            raise

    def ready(self) -> bool:
        assert self.process.poll() is None, self.output()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self.client.transport.request("GET", "/readyz").status_code == 200
        except (OSError, fitwell.FitwellError):  # a connection can be accepted shortly before the server is ready
            return False

    def output(self) -> str:
        return Path(self.log.name).read_text()

    def first_token(self) -> str:
        """Return the first admin's token, which a server that requires tokens prints once."""
        (token,) = re.findall(r"fw_[\w-]{43}", self.output())
        return str(token)

    def part(self, name: str) -> psutil.Process | None:
        """Return the process of the ``service``, the ``worker`` or the ``trainer``; None if it is not running."""
        marks = {"service": ["-m", "service"], "worker": ["-m", "worker"], "trainer": ["-m", "worker.engine.process"]}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                command = process.cmdline()
            except psutil.Error:
                continue
            if command[2:4] == marks[name]:
                return process
        return None

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(scaled(30))
        self.log.close()
        self.client.close()
        return code


@contextmanager
def serving(home: Path, port: int | None = None, *, workers: int = 1, **settings: str) -> Iterator[Serving]:
    """Yield a server whose processes are forks (see :mod:`tests.warm`)."""
    served = Serving(home, port or free_port(), workers=workers, **settings)
    try:
        yield served
    finally:
        served.stop()


class ServingAnew(Serving):
    """A ``fitwell serve`` whose processes are started as users start them, for tests of starts and ends."""

    start = subprocess.Popen


@contextmanager
def serving_anew(home: Path, port: int | None = None, *, workers: int = 1, **settings: str) -> Iterator[Serving]:
    """Yield a server in new processes."""
    served = ServingAnew(home, port or free_port(), workers=workers, **settings)
    try:
        yield served
    finally:
        served.stop()
