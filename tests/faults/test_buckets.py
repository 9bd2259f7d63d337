"""Machines without a shared directory exchange files through a bucket, and results keep their bits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import fitwell
from fitwell.errors import Unavailable
from tests.faults.system import System, reach, result_of, system
from tests.patience import eventually, scaled
from tests.plugins.servers import Storage
from tests.processes import UNBROKEN_LEASE

TABLE = "\n".join(["x,y,label", *(f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(400))])
SPEC: dict[str, Any] = {
    "model": {"kind": "mlp", "hidden": [16]},
    "regularizers": [{"kind": "dropout", "p": 0.2}],
    "optimizer": {"kind": "adam", "lr": 0.01},
    "batch_size": 8,
    "epochs": 40,
}


def submitted(under: System, tmp_path: Path) -> fitwell.Run:
    """Submit a run on an uploaded dataset."""
    table = tmp_path / "rows.csv"
    table.write_text(TABLE)
    return under.submit(**SPEC, dataset=under.client.datasets.upload(table, target="label"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the same run on one machine without a fault."""
    directory = tmp_path_factory.mktemp("expected")
    with system(directory / "home", None) as quiet:
        quiet.start("service")
        quiet.start("worker")
        return result_of(quiet.home, submitted(quiet, directory).wait(scaled(120)))


@contextmanager
def apart(tmp_path: Path, database: str, storage: Storage, **settings: str) -> Iterator[System]:
    """Yield a system whose processes share a database and a bucket."""
    shared = {"FITWELL_STORAGE_URL": storage.url, **storage.environment}
    with system(tmp_path / "api", database, **shared, **settings) as under:
        under.start("service")
        yield under


def files_in(home: Path) -> list[Path]:
    return sorted((home / "checkpoints").rglob("*.safetensors"))


def test_remote_worker_trains_on_an_upload_and_another_resumes_with_the_same_bits(
    postgresql_database: str, storage: Storage, expected: dict[str, Any], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with apart(tmp_path, postgresql_database, storage) as under:
        worker = under.start("worker", FITWELL_DATA_DIR=str(first))
        run = submitted(under, tmp_path)
        reach(run, 8)
        worker.kill()
        worker.wait()
        assert files_in(first)
        under.start("worker", FITWELL_DATA_DIR=str(second))
        assert result_of(second, run.wait(scaled(120))) == expected
        assert any("resumes from its checkpoint" in line.text for line in run.log())
        assert files_in(under.home) == [], "the API downloads none before a request"
        model = run.download("model.safetensors", tmp_path / "model.safetensors")
        (sent,) = files_in(under.home)
        assert Path(model).read_bytes() == sent.read_bytes()
        sent.unlink()
        sent.write_bytes(b"damaged")
        assert run.predict(split="test", indices=[0, 1]).labels, "it is downloaded again"
        assert hashlib.sha256(sent.read_bytes()).hexdigest() == hashlib.sha256(Path(model).read_bytes()).hexdigest()
        assert storage.names("checkpoints")
        run.delete()
        left = [name for name in storage.names("checkpoints") if "attempt0001" not in name]
        assert (left, files_in(under.home)) == ([], []), "but for what the killed one may have sent and not recorded"
        (dataset,) = [one for one in under.client.datasets.list() if one.source == "uploaded"]
        dataset.delete()
        assert storage.names("uploads") == set()


def lines(run: fitwell.Run) -> list[str]:
    return [line.text for line in run.log()]


def waits(run: fitwell.Run) -> bool:
    """Whether the run's log says that it waits for the storage."""
    return any("waits until the storage can be reached" in text for text in lines(run))


def test_outage_of_the_bucket_delays_a_run(
    postgresql_database: str, storage: Storage, expected: dict[str, Any], tmp_path: Path
) -> None:
    worker = tmp_path / "worker"
    with apart(tmp_path, postgresql_database, storage, FITWELL_LEASE_SECONDS=UNBROKEN_LEASE) as under:
        under.start("worker", FITWELL_DATA_DIR=str(worker))
        run = submitted(under, tmp_path)
        reach(run, 8)
        storage.gate.shut = True
        eventually(lambda: waits(run))
        with pytest.raises(Unavailable, match="storage"):
            under.client.transport.request("GET", f"/v1/runs/{run.id}/model.safetensors")
        turned_away = storage.gate.turned_away
        eventually(lambda: storage.gate.turned_away >= turned_away + 12)  # the worker tries three times or more
        assert run.refresh().status == "running"
        storage.gate.shut = False
        assert result_of(worker, run.wait(scaled(120))) == expected
        assert any("continues after waiting" in text for text in lines(run))
        assert run.determinism is not None
        assert run.determinism.resumes == 0


def test_run_that_waits_for_the_bucket_can_be_cancelled(
    postgresql_database: str, storage: Storage, tmp_path: Path
) -> None:
    with apart(tmp_path, postgresql_database, storage) as under:
        under.start("worker", FITWELL_DATA_DIR=str(tmp_path / "worker"))
        run = submitted(under, tmp_path)
        reach(run, 8)
        storage.gate.shut = True
        eventually(lambda: waits(run))
        run.cancel()
        assert run.wait(scaled(30), check=False).status == "cancelled"
        assert any("leaves without a last checkpoint" in text for text in lines(run))


def test_run_that_waits_for_the_bucket_returns_to_the_queue_when_its_worker_stops(
    postgresql_database: str, storage: Storage, expected: dict[str, Any], tmp_path: Path
) -> None:
    with apart(tmp_path, postgresql_database, storage) as under:
        worker = under.start("worker", FITWELL_DATA_DIR=str(tmp_path / "worker"))
        run = submitted(under, tmp_path)
        reach(run, 8)
        storage.gate.shut = True
        eventually(lambda: waits(run))
        worker.terminate()
        worker.wait(scaled(30))
        assert run.refresh().status == "queued"
        storage.gate.shut = False
        under.start("worker", FITWELL_DATA_DIR=str(tmp_path / "other"))
        assert result_of(tmp_path / "other", run.wait(scaled(120))) == expected


def test_run_cancelled_while_its_stack_waits_for_the_dataset_does_not_end_its_peers(
    postgresql_database: str, storage: Storage, expected: dict[str, Any], tmp_path: Path
) -> None:
    with apart(tmp_path, postgresql_database, storage, FITWELL_STACK_LIMIT="2") as under:
        run = submitted(under, tmp_path)
        peer = under.submit(**SPEC, dataset=run.spec["dataset"], seed=1)
        storage.gate.shut = True
        under.start("worker", FITWELL_DATA_DIR=str(tmp_path / "worker"))
        eventually(lambda: waits(run) and waits(peer))
        peer.cancel()
        assert peer.wait(scaled(30), check=False).status == "cancelled"
        assert run.refresh().status in ("queued", "running")
        storage.gate.shut = False
        assert result_of(tmp_path / "worker", run.wait(scaled(120))) == expected


def test_damaged_copy_does_not_damage_the_checkpoint(
    postgresql_database: str, storage: Storage, expected: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "worker"
    with apart(tmp_path, postgresql_database, storage) as under:
        worker = under.start("worker", FITWELL_DATA_DIR=str(home))
        run = submitted(under, tmp_path)
        reach(run, 8)
        worker.kill()
        worker.wait()
        for file in files_in(home):
            content = file.read_bytes()
            file.unlink()
            file.write_bytes(content[: len(content) // 2])
        under.start("worker", FITWELL_DATA_DIR=str(home))
        assert result_of(home, run.wait(scaled(120))) == expected
        messages = [line.text for line in run.log()]
        assert any("resumes from its checkpoint" in text for text in messages)
        assert not any("what came before it is used" in text for text in messages)


def test_worker_without_its_bucket_fails_the_run_with_a_message_and_a_retry_has_the_same_bits(
    postgresql_database: str, storage: Storage, expected: dict[str, Any], tmp_path: Path
) -> None:
    with apart(tmp_path, postgresql_database, storage) as under:
        lost = under.start(
            "worker", FITWELL_DATA_DIR=str(tmp_path / "lost"), FITWELL_STORAGE_URL="s3://no-such-bucket/some/where"
        )
        run = submitted(under, tmp_path)
        failed = run.wait(scaled(60), check=False)
        assert failed.error is not None
        assert (failed.status, failed.error.code) == ("failed", "storage")
        assert "s3://no-such-bucket/some/where" in failed.error.message
        assert "fitwell doctor" in failed.error.message
        lost.terminate()
        lost.wait()
        worker = tmp_path / "worker"
        under.start("worker", FITWELL_DATA_DIR=str(worker))
        assert result_of(worker, run.retry().wait(scaled(120))) == expected
