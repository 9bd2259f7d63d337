"""``doctor``: what of this machine would keep Fitwell from working, and what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
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

LEAST_FREE_BYTES = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "warn", "fail"]
    detail: str


def doctor(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: URL = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check this machine and the server; exit 1 where something fails."""
    home = data_dir.expanduser().resolve()

    def directory() -> Finding:
        ensure_writable(home)
        free = shutil.disk_usage(home).free
        state: Literal["ok", "warn"] = "ok" if free >= LEAST_FREE_BYTES else "warn"
        return Finding("data directory", state, f"{home} is writable, {free / 2**30:.1f} GiB free")

    def server() -> Finding:
        with Client(url, timeout=3) as client:
            answer = client.capabilities()
            alive = len(answer["workers"])
            state: Literal["ok", "warn"] = "ok" if alive else "warn"
            return Finding(
                "server", state, f"{client.transport.url} answers, version {answer['version']}, {alive} worker(s)"
            )

    findings = [
        _python(),
        *_packages(),
        *_here(home, directory),
        _checked("server", server, "warn"),
    ]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{finding.state:4}  {finding.what}: {finding.detail}")
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(Exit.RUN_FAILED)


def _here(home: Path, directory: Callable[[], Finding]) -> Iterator[Finding]:
    """What serving and training need; nothing where only the client is installed."""
    if find_spec("sqlalchemy") is None:
        return
    yield _checked("SQLite", _sqlite, "fail")
    yield _checked("data directory", directory, "fail")
    if os.environ.get("FITWELL_STORAGE_URL"):
        yield _checked("storage", _storage, "fail")
    if find_spec("torch") is not None:
        yield _checked("torch", _torch, "fail")
        yield from _datasets(home)


def _checked(what: str, look: Callable[[], Finding], otherwise: Literal["warn", "fail"]) -> Finding:
    try:
        return look()
    except FitwellError as error:
        return Finding(what, otherwise, str(error))


def _python() -> Finding:
    return Finding("Python", "ok" if sys.version_info >= (3, 11) else "fail", sys.version.split()[0])


def _packages() -> Iterator[Finding]:
    for package, needed_by in (("fastapi", "serve"), ("sqlalchemy", "serve"), ("torch", "worker")):
        try:
            found = version(package)
            if package != "torch":  # it is told of where it computes
                yield Finding(package, "ok", found)
        except PackageNotFoundError:
            advice = f"not installed, `fitwell {needed_by}` needs it: pip install 'fitwell[worker]'"
            yield Finding(package, "warn", advice)


def _asked(code: str) -> str:
    """What a fresh interpreter says; nothing of it is loaded here."""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise FitwellError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return done.stdout.strip()


def _torch() -> Finding:
    said = _asked(
        "import torch; torch.ones(2) @ torch.ones(2); print(torch.__version__, torch.get_num_threads(), 'threads')"
    )
    return Finding("torch", "ok", f"{said}; it computes")


def _storage() -> Finding:
    code = (
        "import sys\nfrom service.settings import SettingsError, load\nfrom worker.blob_store import try_out\n"
        "try: print(try_out(load().checkpoint_files))\nexcept (OSError, SettingsError) as error: sys.exit(str(error))"
    )
    return Finding("storage", "ok", _asked(code))


def _sqlite() -> Finding:
    code = (
        "import pysqlite3.dbapi2 as s; from service.store.database import wal_is_safe as w; "
        "print(s.sqlite_version, w(s.sqlite_version_info))"
    )
    found, safe = _asked(code).split()
    if safe == "True":
        return Finding("SQLite", "ok", f"{found}, WAL is safe")
    return Finding("SQLite", "warn", f"{found} has a WAL bug and runs without WAL: pip install -U pysqlite3")


def _datasets(home: Path) -> Iterator[Finding]:
    try:
        done = run_module("worker", "data", data_dir=home)
    except FitwellError as error:
        yield Finding("datasets", "warn", str(error))
        return
    for found in json.loads(done.stdout or "[]"):
        yield Finding(f"dataset {found['kind']}", "warn" if found["missing"] else "ok", found["missing"] or "ready")
