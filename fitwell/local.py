"""A local server: the service and its workers as child processes. They are started, never imported."""

from __future__ import annotations

import functools
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

NOTICE_SECONDS = 15.0
"""Interval of the messages about a service that is not ready yet."""
STOP_SECONDS = 20.0
RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Delay before a worker is restarted, by the number of recent crashes."""
STABLE_SECONDS = 60.0
"""A worker that ran this long resets the number of recent crashes."""


class LocalError(FitwellError):
    """A problem on this machine; the message says how to fix it."""


REQUIRED_PACKAGES = {
    "service": ("uvicorn", "sqlalchemy"),
    "worker": ("sqlalchemy", "ulid"),
    "torch": ("torch",),
    "ray": ("ray",),
}
"""Packages that prove a component is installed; its own modules come with the client."""


def module_command(name: str) -> list[str]:
    """Return the command that runs an installed module, whatever the working directory contains.

    Raises:
        LocalError: A package that the module needs is not installed.
    """
    require_installed(name)
    return [sys.executable, "-P", "-m", name]


def child_command(name: str) -> list[str]:
    """Return the command that runs a module until its standard input, ``lifeline``, ends.

    Raises:
        LocalError: A package that the module needs is not installed.
    """
    return [*module_command(name), "--end-with-parent"]


@functools.cache
def lifeline() -> int:
    """Return the read end of a pipe that stays open while this process lives: the standard input of its children.

    Only this process holds the write end, so the kernel closes it when the process ends, even by ``SIGKILL``.
    """
    read_end, _ = os.pipe()
    return read_end


def require_installed(*components: str) -> None:
    """Check that the packages of these components are installed.

    Raises:
        LocalError: A package is missing; the message names the extra that provides it.
    """
    missing = [package for name in components for package in REQUIRED_PACKAGES[name] if find_spec(package) is None]
    if missing:
        extra = "ray" if "ray" in missing else "worker"
        raise LocalError(
            f"Required packages are not installed: {', '.join(dict.fromkeys(missing))}. "
            f"Install them with: pip install 'fitwell[{extra}]'"
        )


def available_processors() -> int:
    """Return the number of processors available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free at the moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class LocalServer:
    """One service process and its workers; ``supervise`` keeps them running until a stop signal."""

    def __init__(self, settings: Mapping[str, str], *, host: str, port: int, workers: int, quiet: bool = False) -> None:
        self._environment = {**os.environ, **settings, "FITWELL_HOST": host, "FITWELL_PORT": str(port)}
        reachable = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else host  # noqa: S104 - compared only
        self.url = f"http://{reachable}:{port}"
        self._worker_count = workers
        self._output = subprocess.DEVNULL if quiet else None
        self._service: subprocess.Popen[bytes] | None = None
        self._workers: list[tuple[subprocess.Popen[bytes], float]] = []
        self._crashes = 0
        self._stopping = False

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches only this process, which then stops the others in order.
        return subprocess.Popen(  # noqa: S603
            child_command(name), env=self._environment, start_new_session=True, stdin=lifeline(), stdout=self._output
        )

    def start(self) -> None:
        """Start the service, wait until it is ready, then start the workers.

        A service that migrates a large database takes minutes, so only its exit ends the wait.
        Installs handlers for SIGINT and SIGTERM that shut everything down in order, even during start-up.

        Raises:
            LocalError: The service exited; it logs the reason to standard error.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle_stop_signal)
        self._service = self._start("service")
        try:
            self._wait_until_ready()
            for _ in range(0 if self._stopping else self._worker_count):
                self._workers.append((self._start("worker"), time.monotonic()))
        except BaseException:
            self.stop()
            raise

    def _handle_stop_signal(self, *_: object) -> None:
        self._stopping = True

    def _wait_until_ready(self) -> None:
        assert self._service is not None
        started = noticed = time.monotonic()
        while not self._stopping:
            if self._service.poll() is not None:
                raise LocalError(f"The service exited with code {self._service.returncode} before it was ready.")
            try:
                if httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.03)
            if (now := time.monotonic()) - noticed >= NOTICE_SECONDS:
                noticed = now
                print(f"fitwell: The service is still starting after {now - started:.0f} s.", file=sys.stderr)  # noqa: T201

    def supervise(self) -> None:
        """Run until a stop signal arrives; restart workers that crash.

        Raises:
            LocalError: The service crashed.
        """
        while not self._stopping:
            self._check_processes()
            time.sleep(0.1)

    def check_health(self) -> None:
        """Check the processes once and restart crashed workers, for callers with a loop of their own.

        Raises:
            LocalError: The service crashed, or a stop signal arrived.
        """
        if self._stopping:
            raise LocalError("Interrupted before the end. Everything recorded so far is saved.")
        self._check_processes()

    def _check_processes(self) -> None:
        assert self._service is not None
        if self._service.poll() is not None:
            raise LocalError(f"The service crashed with code {self._service.returncode}.")
        self._workers = [self._restart_if_dead(process, started) for process, started in self._workers]

    def _restart_if_dead(
        self, process: subprocess.Popen[bytes], started: float
    ) -> tuple[subprocess.Popen[bytes], float]:
        if process.poll() is None or self._stopping:
            return process, started
        self._crashes = 0 if time.monotonic() - started > STABLE_SECONDS else self._crashes + 1
        delay = RESTART_SECONDS[min(self._crashes, len(RESTART_SECONDS) - 1)]
        print(f"fitwell: A worker exited with code {process.returncode}. Restarting it in {delay} s.", file=sys.stderr)  # noqa: T201
        time.sleep(delay)
        return self._start("worker"), time.monotonic()

    def stop(self) -> None:
        """Stop the workers, then the service; kill processes that do not stop in time."""
        for process, _ in self._workers:
            process.terminate()
        _wait_or_kill([process for process, _ in self._workers])
        if self._service is not None:
            self._service.terminate()
            _wait_or_kill([self._service])


def _wait_or_kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ensure_port_free(host: str, port: int) -> None:
    """Check that the port is free before anything is started.

    Raises:
        LocalError: The port cannot be bound.
    """
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise LocalError(
            f"Cannot listen on {host}:{port} ({error.strerror}). Another program may be using the port; "
            "choose another one with --port."
        ) from error


def ensure_writable(directory: Path) -> None:
    """Create the data directory if needed, and check that it is writable.

    Raises:
        LocalError: The directory cannot be created or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise LocalError(
            f"The data directory {directory} is not writable ({error.strerror}). Choose another with --data-dir."
        ) from error
