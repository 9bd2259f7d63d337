"""Files that several processes need: in one directory, or behind several in a bucket on a real server."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.servers import Storage
from worker.blob_store import BlobStore, StorageUnavailable
from worker.bucket import PART_BYTES, Bucket
from worker.storage import opened, try_out

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


def written(store: BlobStore, name: str, content: bytes) -> str:
    """The SHA-256 of a file that was written and pushed."""
    path = store.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    store.push_all([name])
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [1, 1000, PART_BYTES, 2 * PART_BYTES + 1])
def test_file_written_on_one_machine_is_readable_on_another(machine: Machines, size: int) -> None:
    here, elsewhere = machine("here"), machine("there")
    content = secrets.token_bytes(size)
    sha256 = written(here, NAME, content)
    elsewhere.fetch(NAME, sha256)
    assert (elsewhere.home / NAME).read_bytes() == content
    assert here.holds(NAME)
    assert [path.name for path in (elsewhere.home / NAME).parent.iterdir()] == [Path(NAME).name], "half a file is left"


def test_fetching_a_missing_object_creates_no_file(machine: Machines) -> None:
    store = machine("here")
    store.fetch(NAME, "0" * 64)
    assert not (store.home / NAME).exists()
    store.drop([NAME])


def test_dropped_file_is_removed_everywhere_and_dropping_twice_is_allowed(machine: Machines) -> None:
    here, elsewhere = machine("here"), machine("there")
    other = NAME.replace("1.", "2.")
    sha256, saved = written(here, NAME, b"1"), written(here, other, b"2")
    for _ in range(2):
        here.drop([NAME])
    elsewhere.fetch(NAME, sha256)
    elsewhere.fetch(other, saved)
    assert not (elsewhere.home / NAME).exists()
    assert (elsewhere.home / other).read_bytes() == b"2"


def test_storage_check_leaves_no_objects(machine: Machines) -> None:
    store = machine("here")
    assert try_out(store)
    assert not list(store.stored(float("inf")))
    assert not [path for path in store.home.rglob("*") if path.is_file()]


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone"])
def test_damaged_copy_is_fetched_again(bucket: Machines, harm: str) -> None:
    store = bucket("here")
    sha256 = written(store, NAME, b"content")
    path = store.home / NAME
    store.fetch(NAME, sha256)
    path.unlink()
    if harm != "gone":
        path.write_bytes(b"cont" if harm == "cut" else b"c0ntent")
    store.fetch(NAME, sha256)
    assert path.read_bytes() == b"content"


def test_object_with_another_digest_is_not_used(bucket: Machines) -> None:
    here, elsewhere = bucket("here"), bucket("there")
    written(here, NAME, b"another")
    elsewhere.fetch(NAME, hashlib.sha256(b"content").hexdigest())
    assert [path for path in elsewhere.home.rglob("*") if path.is_file()] == []


def test_existing_copy_needs_no_network(bucket: Machines, storage: Storage) -> None:
    store = bucket("here")
    sha256 = written(store, NAME, b"content")
    storage.gate.shut = True
    store.fetch(NAME, sha256)


def test_unreachable_bucket_is_reported_and_leaves_no_partial_file(bucket: Machines, storage: Storage) -> None:
    here, elsewhere = bucket("here"), bucket("there")
    sha256 = written(here, NAME, b"content")
    other = NAME.replace("1.", "2.")
    (here.home / other).write_bytes(b"more")
    storage.gate.shut = True
    with pytest.raises(StorageUnavailable, match=r"The storage .+ failed \(.+fitwell doctor"):
        here.push(other)
    assert not (here.home / other).exists(), "no row will name it"
    with pytest.raises(StorageUnavailable):
        elsewhere.fetch(NAME, sha256)
    with pytest.raises(StorageUnavailable):
        elsewhere.holds(NAME)
    with pytest.raises(StorageUnavailable):
        list(elsewhere.stored(0))
    elsewhere.drop([NAME])  # logged, and retried by housekeeping
    assert storage.gate.turned_away
    assert [path for path in elsewhere.home.rglob("*") if path.is_file()] == []
    storage.gate.shut = False
    elsewhere.fetch(NAME, sha256)
    assert (elsewhere.home / NAME).read_bytes() == b"content"


def test_missing_bucket_is_not_an_empty_one(
    bucket: Machines, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Bucket(tmp_path / "checkpoints", "s3://no-such-bucket/checkpoints", 0.5)
    for query in (lambda: store.fetch(NAME, "0" * 64), lambda: store.holds(NAME), lambda: try_out(store)):
        with pytest.raises(StorageUnavailable, match="s3://no-such-bucket"):
            query()


def test_unused_copies_are_removed_and_local_files_stay(bucket: Machines) -> None:
    here, elsewhere = bucket("here"), bucket("there")
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
    elsewhere.fetch(old, sha256s[old])
    assert (here.home / old).read_bytes() == (elsewhere.home / old).read_bytes() == old.encode()
