"""``serve``, ``api`` and ``worker``: processes of this machine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Annotated

import typer

from fitwell.local import Stack, check_port, installed, module, processors, writable

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="FITWELL_DATA_DIR", help="Database, datasets and checkpoints."),
]
Host = Annotated[str, typer.Option("--host", envvar="FITWELL_HOST", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", envvar="FITWELL_PORT", min=0, max=65535, help="Port to listen on.")]
MOST_WORKERS = 4
DEFAULT_WORKERS = min(processors(), MOST_WORKERS)
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
            help="Worker processes; they share the processors.",
            show_default=f"one for each processor, at most {MOST_WORKERS}",
        ),
    ] = DEFAULT_WORKERS,
) -> None:
    """Serve the API and train what is submitted, until Ctrl-C."""
    installed("service", *(("worker", "torch") if workers else ()))
    began = time.monotonic()
    home = data_dir.expanduser().resolve()
    writable(home)
    check_port(host, port)
    stack = Stack({"FITWELL_DATA_DIR": str(home)}, host=host, port=port, workers=workers)
    stack.start()
    typer.echo(f"Fitwell serves at {stack.url} after {time.monotonic() - began:.1f} s; data in {home}; Ctrl-C ends it.")
    try:
        stack.keep()
    finally:
        typer.echo("Saving what is being trained…")
        stack.stop()


def api(data_dir: DataDir = DEFAULT_DATA_DIR, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the API alone; workers are started elsewhere."""
    _become("service", data_dir, {"FITWELL_HOST": host, "FITWELL_PORT": str(port)})


def worker(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Let the Ray cluster at this address train it: host:port, or auto for the one of this machine. "
            "Needs PostgreSQL, and a data directory that the cluster's machines share.",
        ),
    ] = None,
) -> None:
    """Train what is submitted to the database, without serving the API."""
    installed("worker", "torch", *(("ray",) if ray else ()))
    _become("worker", data_dir, {}, *(("--ray", ray) if ray else ()))


def _become(name: str, data_dir: Path, settings: dict[str, str], *arguments: str) -> None:
    command = [*module(name), *arguments]
    home = data_dir.expanduser().resolve()
    writable(home)
    os.execve(command[0], command, {**os.environ, **settings, "FITWELL_DATA_DIR": str(home)})  # noqa: S606


def run_module(name: str, *arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run a module to its end; its standard error is shown as it is."""
    environment = {**os.environ, "FITWELL_DATA_DIR": str(data_dir.expanduser().resolve())}
    return subprocess.run(  # noqa: S603
        [*module(name), *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
