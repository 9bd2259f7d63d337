"""kill -9 of a server with an upload in hand: the next start takes away what it left, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from service.datasets.service import Uploads
from service.sandbox.parsing.options import Options
from service.settings import Settings
from service.store.database import reading
from service.store.tables import dataset as datasets
from tests.patience import eventually, scaled
from tests.processes import Serving, free_port
from tests.service.datasets.upload_files import iris, npz

pytestmark = pytest.mark.slow
PROGRAM = """
import os, signal, sys
from service.datasets import files, incoming
from service.datasets import service as uploads
from service.sandbox.parsing.options import Options
from service.settings import load
from service.datasets import queries as datasets
from service.store.database import migrate, open_engine

settings = load()
engine = open_engine(settings)
migrate(engine)
hands = uploads.Uploads(engine, settings)
verb, place, name, given = sys.argv[1:]
kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
places = {"incoming": incoming.shutil, "files": files, "Uploads": uploads.Uploads, "datasets": datasets}
setattr(places[place], name, kill)
if verb == "add":
    with hands.receiving() as where:
        where.body.write_bytes(open(given, "rb").read())
        hands.add(where, None, Options())
else:
    hands.delete(given)
"""


def killed(settings: Settings, *arguments: str) -> None:
    """Run the program until it kills itself at the given point."""
    environment = {**os.environ, "FITWELL_DATA_DIR": str(settings.home)}
    environment |= {"FITWELL_DATABASE_URL": settings.database_url} if settings.database_url else {}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], env=environment, timeout=scaled(60), check=False)
    assert done.returncode == -signal.SIGKILL, "the fault must have happened"


def state(engine: sa.Engine, settings: Settings) -> tuple[set[str], set[str], int]:
    """The files that rows refer to, those that exist, and what is in the directories of uploads in hand."""
    folder = settings.datasets / "uploads"
    with reading(engine) as connection:
        rows = connection.execute(sa.select(datasets.c.id, datasets.c.source_sha256)).all()
    names = {f"{row.id.removeprefix('dataset_')}.safetensors" for row in rows}
    names |= {f"{row.source_sha256}.source" for row in rows}
    files = {path.name for path in folder.iterdir() if path.is_file()}
    return names, files, len(list((folder / "incoming").iterdir()))


def other(uploads: Uploads) -> str:
    """An upload that has nothing to do with it; its digest."""
    with uploads.receiving() as place:
        place.body.write_bytes(npz(x=iris()["x"][:, :2], y=iris()["y"]))
        return uploads.add(place, None, Options())[0].id.removeprefix("dataset_")


@pytest.mark.parametrize(
    ("place", "name", "present"),
    [("datasets", "insert", False), ("files", "sync", False), ("incoming", "rmtree", True)],
)
def test_upload_is_stored_completely_or_not_at_all(
    place: str, name: str, present: bool, engine: sa.Engine, settings: Settings, tmp_path: Path
) -> None:
    uploads = Uploads(engine, settings)
    bystander = other(uploads)
    file = tmp_path / "iris.npz"
    file.write_bytes(npz(**iris()))
    killed(settings, "add", place, name, str(file))
    assert state(engine, settings)[2] == 1
    assert uploads.clean() == 1
    rows, files, left = state(engine, settings)
    assert (rows == files, f"{bystander}.safetensors" in rows, len(rows), left) == (True, True, 2 + 2 * present, 0)


@pytest.mark.parametrize(("place", "name", "present"), [("datasets", "delete", True), ("Uploads", "_remove", False)])
def test_deletion_removes_row_and_file_or_neither(
    place: str, name: str, present: bool, engine: sa.Engine, settings: Settings
) -> None:
    uploads = Uploads(engine, settings)
    digest = other(uploads)
    before = state(engine, settings)[0]
    killed(settings, "delete", place, name, f"dataset_{digest}")
    assert uploads.clean() == 1
    assert state(engine, settings) == (before if present else set(), before if present else set(), 0)


def test_cleaning_keeps_files_of_a_running_server(engine: sa.Engine, settings: Settings) -> None:
    mine, theirs = Uploads(engine, settings), Uploads(engine, settings)
    with theirs.receiving() as place:
        place.body.write_bytes(b"half")
        assert mine.clean() == 0
        assert place.body.read_bytes() == b"half"
    stranger = settings.datasets / "uploads" / f"{64 * 'a'}.safetensors"
    stranger.write_bytes(b"of another database")
    assert mine.clean() == 0
    assert stranger.exists()


def send_and_kill(served: Serving, content: bytes, *, whole: bool) -> None:
    """Send a file, or half of it, and kill the server while it receives or reads it."""
    incoming = served.home / "datasets" / "uploads" / "incoming"
    service = served.part("service")
    assert service is not None
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        head = "POST /v1/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content[: None if whole else len(content) // 2])
        eventually(lambda: list(incoming.glob("*/body")))
        readers = eventually(lambda: readers_of(service)) if whole else []
        service.kill()
        assert served.process.wait(scaled(30)) == 5
    assert list(incoming.glob("*/*")), "the fault must have happened"
    eventually(lambda: not any(map(alive, readers)), 2)


def readers_of(service: psutil.Process) -> list[psutil.Process]:
    return [process for process in service.children() if "service.sandbox.parsing" in process.cmdline()]


@pytest.mark.parametrize("whole", [False, True], ids=["receiving", "reading"])
def test_server_killed_during_an_upload_leaves_no_files(whole: bool, tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    content = b"a,b,c\n" + b"1,2,a\n3,4,b\n" * 2_000_000  # takes about five seconds on a quiet machine
    served = Serving(home, port, workers=0)
    send_and_kill(served, content, whole=whole)
    served.stop()
    served = Serving(home, port, workers=0)
    try:
        assert list((home / "datasets" / "uploads" / "incoming").iterdir()) == []
        assert all(dataset.source == "built_in" for dataset in served.client.datasets.list())
    finally:
        served.stop()


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
