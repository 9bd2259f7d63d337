"""``doctor``: check this machine and the server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from fitwell.client import Client
from fitwell.commands.options import URL
from fitwell.commands.server.serve import DEFAULT_DATA_DIR, DataDir, run_module
from fitwell.errors import FitwellError
from fitwell.exit_codes import Exit
from fitwell.local import ensure_writable

MIN_FREE_BYTES = 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    subject: str
    state: Literal["ok", "warn", "fail"]
    detail: str

    def as_json(self) -> dict[str, str]:
        """Return the fields that ``--json`` prints."""
        return {"what": self.subject, "state": self.state, "detail": self.detail}


def doctor(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: URL = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine and the server; exit with 1 if a check fails."""
    home = data_dir.expanduser().resolve()

    def directory() -> Finding:
        ensure_writable(home)
        free = shutil.disk_usage(home).free
        state: Literal["ok", "warn"] = "ok" if free >= MIN_FREE_BYTES else "warn"
        return Finding("data directory", state, f"{home} is writable, {free / 2**30:.1f} GiB free")

    def server() -> Finding:
        with Client(url, timeout=3) as client:
            capabilities = client.capabilities()
            workers = len(capabilities.workers)
            state: Literal["ok", "warn"] = "ok" if workers else "warn"
            detail = f"{client.transport.url}, version {capabilities.version}, {workers} worker(s)"
            return Finding("server", state, detail)

    findings = [
        _python(),
        *_packages(),
        *_local_checks(home, directory),
        _check("server", server, "warn"),
    ]
    if as_json:
        typer.echo(json.dumps([finding.as_json() for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{finding.state:4}  {finding.subject}: {finding.detail}")
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(Exit.RUN_FAILED)


def _local_checks(home: Path, directory: Callable[[], Finding]) -> Iterator[Finding]:
    """Yield the checks for serving and training; none if only the client is installed."""
    if find_spec("sqlalchemy") is None:
        return
    yield _check("SQLite", _sqlite, "fail")
    yield _check("data directory", directory, "fail")
    if os.environ.get("FITWELL_STORAGE_URL"):
        yield _check("storage", _storage, "fail")
    if find_spec("torch") is not None:
        yield _check("torch", _torch, "fail")
        yield from _datasets(home)


def _check(subject: str, check: Callable[[], Finding], on_error: Literal["warn", "fail"]) -> Finding:
    try:
        return check()
    except FitwellError as error:
        return Finding(subject, on_error, str(error))


def _python() -> Finding:
    return Finding("Python", "ok" if sys.version_info >= (3, 11) else "fail", sys.version.split()[0])


def _packages() -> Iterator[Finding]:
    for package, command in (("fastapi", "serve"), ("sqlalchemy", "serve"), ("torch", "worker")):
        try:
            installed = version(package)
            if package != "torch":  # checked separately
                yield Finding(package, "ok", installed)
        except PackageNotFoundError:
            advice = f"not installed, required by `fitwell {command}`: pip install 'fitwell[worker]'"
            yield Finding(package, "warn", advice)


def _run_python(code: str) -> str:
    """Return the output of code in a new interpreter, so that its imports do not stay loaded."""
    process = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    if process.returncode:
        raise FitwellError((process.stderr.strip().splitlines() or ["the check failed without an error message"])[-1])
    return process.stdout.strip()


def _torch() -> Finding:
    details = _run_python(
        "import torch; torch.ones(2) @ torch.ones(2); print(torch.__version__, torch.get_num_threads(), 'threads')"
    )
    return Finding("torch", "ok", f"{details}; computes")


def _storage() -> Finding:
    code = (
        "import sys\nfrom service.settings import SettingsError, load\nfrom worker.storage import try_out\n"
        "try: print(try_out(load().checkpoint_files))\nexcept (OSError, SettingsError) as error: sys.exit(str(error))"
    )
    return Finding("storage", "ok", _run_python(code))


def _sqlite() -> Finding:
    code = (
        "import pysqlite3.dbapi2 as s; from service.store.database import wal_is_safe as w; "
        "print(s.sqlite_version, w(s.sqlite_version_info))"
    )
    sqlite_version, safe = _run_python(code).split()
    if safe == "True":
        return Finding("SQLite", "ok", f"{sqlite_version}, WAL is safe")
    return Finding(
        "SQLite", "warn", f"{sqlite_version} has a WAL bug, so WAL is disabled. Upgrade with: pip install -U pysqlite3"
    )


def _datasets(home: Path) -> Iterator[Finding]:
    try:
        process = run_module("worker", "data", data_dir=home)
    except FitwellError as error:
        yield Finding("datasets", "warn", str(error))
        return
    for dataset in json.loads(process.stdout or "[]"):
        missing = dataset["missing"]
        yield Finding(f"dataset {dataset['kind']}", "warn" if missing else "ok", missing or "ready")
