"""With damaged checkpoints and full disks an older state is used, or only this run fails, with its reason."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.system import LONG, reach, result_of, system, trainer_of
from tests.patience import eventually, scaled


@pytest.mark.parametrize(
    ("database", "harm"),
    [("sqlite", "truncated"), ("postgresql", "flipped"), ("sqlite", "both gone")],
    indirect=["database"],
)
def test_damaged_checkpoint_is_skipped_and_the_bits_are_the_same(
    harm: str, database: str | None, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    with system(tmp_path / "home", database) as under:
        under.start("service")
        worker = under.start("worker")
        run = under.submit(**LONG)
        reach(run, 8)
        worker.kill()
        worker.wait()
        # Only the recorded ones: the worker may have died before it reported the newest file.
        known = under.client.transport.request("GET", f"/v1/runs/{run.id}/checkpoints").json()["data"]
        folder = under.home / "checkpoints" / run.id
        files = [folder / f"attempt0001-epoch{one['epoch']:06d}.safetensors" for one in reversed(known)]
        assert len(files) >= 2
        content = files[-1].read_bytes()
        if harm == "truncated":
            files[-1].write_bytes(content[: len(content) // 2])
        elif harm == "flipped":
            files[-1].write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        else:
            for file in files:
                file.unlink()
        under.start("worker")
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert any("what came before it is used" in line.text for line in run.log()), "the harm was not met"


@pytest.mark.parametrize(
    ("database", "number", "code"),
    [("sqlite", errno.ENOSPC, "disk_full"), ("postgresql", errno.EIO, "storage")],
    indirect=["database"],
)
def test_checkpoint_that_cannot_be_written_fails_the_run_and_not_the_service(
    number: int, code: str, database: str | None, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    with system(tmp_path / "home", database) as under:
        under.start("service")
        run, other = under.submit(**LONG), under.submit()
        under.faults.plan("trainer", 0, f"fsync 9 before {number} {run.id}")
        under.start("worker")
        failed = run.wait(scaled(120), check=False)
        assert under.faults.log == [("fsync", "before", "save")]
        assert (failed.status, failed.error and failed.error.code) == ("failed", code)
        files_left = [file.name for file in (under.home / "checkpoints" / run.id).iterdir()]
        assert len(files_left) >= 2
        assert all(name.startswith("attempt") for name in files_left), "half a file is left"
        assert other.wait(scaled(60)).status == "succeeded"
        assert result_of(under.home, run.retry().wait(scaled(120))) == undisturbed_long


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which can be filled up."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("only an administrator mounts a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(file: Path) -> None:
    """Let ``file`` grow until its disk is full."""
    with file.open("ab", buffering=0) as growing:
        try:
            while True:
                growing.write(bytes(2**12))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def test_full_disk_loses_nothing_that_was_acknowledged(
    database: str | None, undisturbed_long: dict[str, Any], small_disk: Path
) -> None:
    """With SQLite the database is on it too."""
    with system(small_disk, database, FITWELL_MIN_FREE_BYTES="0") as under:  # their log is beside it
        under.start("service")
        trainer = trainer_of(under.start("worker"))
        run = under.submit(**LONG)
        reach(run, 2)
        trainer.suspend()  # or the run may end before the disk is full
        ballast = small_disk / "ballast"
        fill(ballast)
        trainer.resume()

        def refused() -> bool:
            fill(ballast)  # again: a deleted checkpoint leaves room for the next
            return "No space left" in under.output() or "disk is full" in under.output()

        eventually(refused)
        before = run.history.epoch
        assert under.client.runs.get(run.id).id == run.id, "it still answers"
        ballast.unlink()
        ended = run.wait(scaled(120), check=False)
        if ended.status == "failed":
            assert ended.error is not None
            assert ended.error.code == "disk_full"
            ended = run.retry().wait(scaled(120))
        assert result_of(under.home, ended) == undisturbed_long
        assert ended.history.epoch[: len(before)] == before
