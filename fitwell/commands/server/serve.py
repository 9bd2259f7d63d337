"""``serve``, ``api`` and ``worker``: server processes on this machine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Annotated

import typer

from fitwell.local import (
    LocalServer,
    available_processors,
    child_command,
    ensure_port_free,
    ensure_writable,
    free_port,
    lifeline,
    module_command,
    require_installed,
)

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="FITWELL_DATA_DIR", help="Directory of database, datasets and checkpoints."),
]
Host = Annotated[str, typer.Option("--host", envvar="FITWELL_HOST", help="Address to listen on.")]
Port = Annotated[
    int, typer.Option("--port", envvar="FITWELL_PORT", min=0, max=65535, help="Port to listen on; 0 picks a free one.")
]
MAX_DEFAULT_WORKERS = 4
DEFAULT_WORKERS = min(available_processors(), MAX_DEFAULT_WORKERS)
DEFAULT_DATA_DIR = Path("~/.local/share/fitwell")


def serve(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            max=64,
            help="Number of worker processes; they share the processors.",
            show_default=f"one per processor, at most {MAX_DEFAULT_WORKERS}",
        ),
    ] = DEFAULT_WORKERS,
) -> None:
    """Run the API and its workers until Ctrl-C."""
    require_installed("service", *(("worker", "torch") if workers else ()))
    started = time.monotonic()
    home = data_dir.expanduser().resolve()
    ensure_writable(home)
    port = port or free_port(host)
    ensure_port_free(host, port)
    server = LocalServer({"FITWELL_DATA_DIR": str(home)}, host=host, port=port, workers=workers)
    server.start()
    elapsed = time.monotonic() - started
    typer.echo(f"Fitwell is running at {server.url} (started in {elapsed:.1f} s). Data: {home}. Press Ctrl-C to stop.")
    try:
        server.supervise()
    finally:
        typer.echo("Saving runs in progress…")
        server.stop()


def api(data_dir: DataDir = DEFAULT_DATA_DIR, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run the API without workers."""
    _exec_module("service", data_dir, {"FITWELL_HOST": host, "FITWELL_PORT": str(port)})


def worker(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Train on the Ray cluster at this address: host:port, or auto for the cluster on this machine. "
            "Requires PostgreSQL and a data directory shared by all machines of the cluster.",
        ),
    ] = None,
) -> None:
    """Run a worker without the API; it trains the runs in the database."""
    require_installed("worker", "torch", *(("ray",) if ray else ()))
    _exec_module("worker", data_dir, {}, *(("--ray", ray) if ray else ()))


def _exec_module(name: str, data_dir: Path, settings: dict[str, str], *arguments: str) -> None:
    """Replace this process by a module."""
    command = [*module_command(name), *arguments]
    home = data_dir.expanduser().resolve()
    ensure_writable(home)
    os.execve(command[0], command, {**os.environ, **settings, "FITWELL_DATA_DIR": str(home)})  # noqa: S606


def run_module(name: str, *arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run a module to completion; capture its standard output and pass its standard error through."""
    environment = {**os.environ, "FITWELL_DATA_DIR": str(data_dir.expanduser().resolve())}
    return subprocess.run(  # noqa: S603
        [*child_command(name), *arguments],
        env=environment,
        stdin=lifeline(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
