"""Files that several processes need: in one directory, or behind several in a bucket on a real server."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.servers import Storage
from worker.blob_store import PART_BYTES, BlobStore, Bucket, StorageUnavailable, opened, try_out

NAME = "run_1/attempt0001-epoch000001.safetensors"
pytestmark = pytest.mark.slow
Machines = Callable[[str], BlobStore]


@pytest.fixture(params=["directory", "bucket"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machines:
    """A depot as the machine of that name has it."""
    if request.param == "directory":
        return lambda _: BlobStore(tmp_path / "checkpoints")
    bucket: Machines = request.getfixturevalue("bucket")
    return bucket


@pytest.fixture
def bucket(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    for name, value in storage.environment.items():
        monkeypatch.setenv(name, value)
    return lambda name: opened(tmp_path / name / "checkpoints", storage.url, 0.5)


def written(depot: BlobStore, name: str, content: bytes) -> str:
    """The SHA-256 of a file that was written and pushed."""
    path = depot.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    depot.push_all([name])
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [1, 1000, PART_BYTES, 2 * PART_BYTES + 1])
def test_what_one_machine_wrote_another_reads(machine: Machines, size: int) -> None:
    here, there = machine("here"), machine("there")
    content = secrets.token_bytes(size)
    sha256 = written(here, NAME, content)
    there.fetch(NAME, sha256)
    assert (there.home / NAME).read_bytes() == content
    assert here.holds(NAME)
    assert [path.name for path in (there.home / NAME).parent.iterdir()] == [Path(NAME).name], "half a file is left"


def test_what_is_nowhere_stays_away(machine: Machines) -> None:
    depot = machine("here")
    depot.fetch(NAME, "0" * 64)
    assert not (depot.home / NAME).exists()
    depot.drop([NAME])


def test_what_is_dropped_is_gone_everywhere_and_dropped_twice_is_no_harm(machine: Machines) -> None:
    here, there = machine("here"), machine("there")
    other = NAME.replace("1.", "2.")
    sha256, kept = written(here, NAME, b"1"), written(here, other, b"2")
    for _ in range(2):
        here.drop([NAME])
    there.fetch(NAME, sha256)
    there.fetch(other, kept)
    assert not (there.home / NAME).exists()
    assert (there.home / other).read_bytes() == b"2"


def test_what_was_tried_out_leaves_nothing(machine: Machines) -> None:
    depot = machine("here")
    assert try_out(depot)
    assert not list(depot.stored(float("inf")))
    assert not [path for path in depot.home.rglob("*") if path.is_file()]


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone"])
def test_a_damaged_copy_is_brought_anew(bucket: Machines, harm: str) -> None:
    depot = bucket("here")
    sha256 = written(depot, NAME, b"content")
    path = depot.home / NAME
    depot.fetch(NAME, sha256)
    path.unlink()
    if harm != "gone":
        path.write_bytes(b"cont" if harm == "cut" else b"c0ntent")
    depot.fetch(NAME, sha256)
    assert path.read_bytes() == b"content"


def test_an_object_that_is_not_what_was_written_is_not_taken(bucket: Machines) -> None:
    here, there = bucket("here"), bucket("there")
    written(here, NAME, b"another")
    there.fetch(NAME, hashlib.sha256(b"content").hexdigest())
    assert [path for path in there.home.rglob("*") if path.is_file()] == []


def test_a_copy_that_is_there_needs_no_network(bucket: Machines, storage: Storage) -> None:
    depot = bucket("here")
    sha256 = written(depot, NAME, b"content")
    storage.gate.shut = True
    depot.fetch(NAME, sha256)


def test_a_bucket_that_is_out_of_reach_is_told_and_nothing_half_is_left(bucket: Machines, storage: Storage) -> None:
    here, there = bucket("here"), bucket("there")
    sha256 = written(here, NAME, b"content")
    other = NAME.replace("1.", "2.")
    (here.home / other).write_bytes(b"more")
    storage.gate.shut = True
    with pytest.raises(StorageUnavailable, match=r"The storage .+ failed \(.+fitwell doctor"):
        here.push(other)
    assert not (here.home / other).exists(), "nobody will ever name it"
    with pytest.raises(StorageUnavailable):
        there.fetch(NAME, sha256)
    with pytest.raises(StorageUnavailable):
        there.holds(NAME)
    with pytest.raises(StorageUnavailable):
        list(there.stored(0))
    there.drop([NAME])  # it is told in the log, and tried again by whoever keeps house
    assert storage.gate.turned_away
    assert [path for path in there.home.rglob("*") if path.is_file()] == []
    storage.gate.shut = False
    there.fetch(NAME, sha256)
    assert (there.home / NAME).read_bytes() == b"content"


def test_a_bucket_that_is_not_there_is_no_empty_one(
    bucket: Machines, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot = Bucket(tmp_path / "checkpoints", "s3://no-such-bucket/checkpoints", 0.5)
    for asked in (lambda: depot.fetch(NAME, "0" * 64), lambda: depot.holds(NAME), lambda: try_out(depot)):
        with pytest.raises(StorageUnavailable, match="s3://no-such-bucket"):
            asked()


def test_copies_that_nobody_used_for_long_go_and_what_is_here_alone_stays(bucket: Machines) -> None:
    here, there = bucket("here"), bucket("there")
    old, used, alone = (NAME.replace("000001.", f"00000{i}.") for i in range(3))
    sha256s = {name: written(here, name, name.encode()) for name in (old, used)}
    (here.home / alone).write_bytes(b"never pushed")
    (here.home / f"run_1/.{alone[6:]}.0123").write_bytes(b"half")
    for path in (here.home / "run_1").iterdir():
        os.utime(path, (1.0, 1.0))
    here.fetch(used, sha256s[used])
    assert here.tidy(1000.0) == 2
    assert {path.name for path in (here.home / "run_1").iterdir()} == {Path(used).name, Path(alone).name}
    here.fetch(old, sha256s[old])
    there.fetch(old, sha256s[old])
    assert (here.home / old).read_bytes() == (there.home / old).read_bytes() == old.encode()
