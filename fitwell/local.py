"""Service and workers as processes of this machine. They are started, never imported."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import httpx2

from fitwell.errors import FitwellError

READY_SECONDS = 30.0
STOP_SECONDS = 20.0
RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 60.0
"""A worker that lived so long starts again at once."""


class LocalError(FitwellError):
    """Something on this machine is in the way; the message says what to do."""


NEEDED = {
    "service": ("uvicorn", "sqlalchemy"),
    "worker": ("sqlalchemy", "ulid"),
    "torch": ("torch",),
    "ray": ("ray",),
}
"""What a part of Fitwell cannot begin without; the modules themselves are there with the client, too."""


def module(name: str) -> list[str]:
    """The command that runs one of the installed modules, whatever lies in the working directory.

    Raises:
        LocalError: what it needs is not installed.
    """
    installed(name)
    return [sys.executable, "-P", "-m", name]


def installed(*parts: str) -> None:
    """See that what these parts need is there.

    Raises:
        LocalError: it is not.
    """
    lacking = [package for part in parts for package in NEEDED[part] if find_spec(package) is None]
    if lacking:
        extra = "ray" if "ray" in lacking else "worker"
        raise LocalError(
            f"This needs {', '.join(dict.fromkeys(lacking))}, not installed here: pip install 'fitwell[{extra}]'"
        )


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """One service and some workers, as child processes; ``run`` keeps them up until told to stop."""

    def __init__(self, settings: Mapping[str, str], *, host: str, port: int, workers: int, quiet: bool = False) -> None:
        self._environment = {**os.environ, **settings, "FITWELL_HOST": host, "FITWELL_PORT": str(port)}
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else host  # noqa: S104 - compared only
        self.url = f"http://{shown}:{port}"
        self._wanted = workers
        self._output = subprocess.DEVNULL if quiet else None
        self._service: subprocess.Popen[bytes] | None = None
        self._workers: list[tuple[subprocess.Popen[bytes], float]] = []
        self._deaths = 0
        self._stopping = False

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        # In a group of its own, so that Ctrl-C reaches only us and the end has an order.
        return subprocess.Popen(module(name), env=self._environment, start_new_session=True, stdout=self._output)  # noqa: S603

    def start(self) -> None:
        """Start the service, wait until it is ready, start the workers.

        From now on SIGINT and SIGTERM end it in good order, however far it has come.

        Raises:
            LocalError: the service ended instead; its own words are on standard error.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._told_to_stop)
        self._service = self._start("service")
        try:
            self._await_ready()
            for _ in range(0 if self._stopping else self._wanted):
                self._workers.append((self._start("worker"), time.monotonic()))
        except BaseException:
            self.stop()
            raise

    def _told_to_stop(self, *_: object) -> None:
        self._stopping = True

    def _await_ready(self) -> None:
        assert self._service is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._stopping:
            if self._service.poll() is not None:
                raise LocalError(f"The service ended with code {self._service.returncode} before it was ready.")
            try:
                if httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.03)
        if not self._stopping:
            raise LocalError(f"The service was not ready within {READY_SECONDS:.0f} s.")

    def keep(self) -> None:
        """Watch the processes until told to stop; a worker that dies is started again.

        Raises:
            LocalError: the service died.
        """
        while not self._stopping:
            self._look_after()
            time.sleep(0.1)

    def check(self) -> None:
        """Look after the processes once, for whoever waits for something else.

        Raises:
            LocalError: the service died, or one of the signals to stop came.
        """
        if self._stopping:
            raise LocalError("It was told to stop before it was done; what was recorded is kept.")
        self._look_after()

    def _look_after(self) -> None:
        assert self._service is not None
        if self._service.poll() is not None:
            raise LocalError(f"The service died with code {self._service.returncode}.")
        self._workers = [self._revived(process, since) for process, since in self._workers]

    def _revived(self, process: subprocess.Popen[bytes], since: float) -> tuple[subprocess.Popen[bytes], float]:
        if process.poll() is None or self._stopping:
            return process, since
        self._deaths = 0 if time.monotonic() - since > STEADY_SECONDS else self._deaths + 1
        pause = RESTART_SECONDS[min(self._deaths, len(RESTART_SECONDS) - 1)]
        print(f"fitwell: a worker died with code {process.returncode}; starting another in {pause} s", file=sys.stderr)  # noqa: T201
        time.sleep(pause)
        return self._start("worker"), time.monotonic()

    def stop(self) -> None:
        """End workers, then the service; what does not end is killed."""
        for process, _ in self._workers:
            process.terminate()
        _wait([process for process, _ in self._workers])
        if self._service is not None:
            self._service.terminate()
            _wait([self._service])


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_port(host: str, port: int) -> None:
    """See that the port is free before anything is started.

    Raises:
        LocalError: it is not.
    """
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise LocalError(
            f"{host}:{port} cannot be listened on ({error.strerror}). Another program may have it; "
            "choose another with --port."
        ) from error


def writable(directory: Path) -> None:
    """See that the data directory can be written to; makes it.

    Raises:
        LocalError: it cannot.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise LocalError(
            f"The data directory {directory} is not writable ({error.strerror}). Choose another with --data-dir."
        ) from error
