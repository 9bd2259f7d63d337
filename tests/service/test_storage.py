"""The service in front of a bucket: what it puts there, brings from there, tells of it, and takes away again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.backup import back_up
from service.datasets.service import Uploads
from service.runs import housekeeping
from service.runs.housekeeping import Housekeeping
from service.runs.service import Runs
from service.settings import Settings, SettingsError, load
from service.store.database import StoreError
from service.workers.jobs import Jobs
from tests import warm
from tests.conftest import BODY, WORKER, MigratedHome, measured, submit
from tests.patience import scaled
from tests.plugins.servers import Storage
from worker.blob_store import StorageUnavailable
from worker.ports import Checkpoint, Outcome, WeightsFile

pytestmark = pytest.mark.slow
TABLE = "\n".join(["x,y,label", *(f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60))])
SOURCE = f"{hashlib.sha256(TABLE.encode()).hexdigest()}.source"
CSV = {"content-type": "text/csv"}


@pytest.fixture
def settings(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in storage.environment.items():
        monkeypatch.setenv(name, value)
    return Settings(data_dir=tmp_path / "home", storage_url=storage.url)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as connected:
        yield connected


@pytest.fixture
def engine(settings: Settings, migrated_home: MigratedHome) -> Iterator[sa.Engine]:
    from service.store.database import open_engine

    opened = open_engine(settings)
    migrated_home(settings.home)
    yield opened
    opened.dispose()


def uploaded(client: TestClient, content: str = TABLE) -> str:
    answer = client.post("/v1/datasets", params={"target": "label"}, content=content, headers=CSV)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def local(settings: Settings) -> list[str]:
    return [path.name for form in ("*.safetensors", "*.source") for path in settings.home.rglob(form)]


def trained(runs: Runs, jobs: Jobs, settings: Settings, content: bytes = b"weights") -> tuple[str, str]:
    """A run with weights in the bucket, written by a worker elsewhere; its id and the name of the file."""
    run_id = submit(runs, epochs=1)
    (claim,) = jobs.claim(WORKER, limit=1)
    name, sha256 = f"{run_id}/attempt0001-epoch000001.safetensors", hashlib.sha256(content).hexdigest()
    elsewhere = settings.home.parent / "elsewhere"
    elsewhere.write_bytes(content)
    settings.checkpoint_files.push(name, elsewhere)
    jobs.record([claim], [measured(run_id, 1)])
    same: dict[str, Any] = {"epoch": 1, "path": name, "sha256": sha256, "bytes": len(content)}
    jobs.checkpointed(
        [claim],
        {run_id: Checkpoint(**same, digest="d")},
        {run_id: [WeightsFile(**same, at="last")]},
    )
    jobs.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    return run_id, name


def test_upload_reaches_the_bucket_before_it_is_listed_and_is_deleted_there(
    client: TestClient, settings: Settings, storage: Storage
) -> None:
    dataset = uploaded(client)
    assert storage.names("uploads") == {f"{dataset.removeprefix('dataset_')}.safetensors", SOURCE}
    assert len(local(settings)) == 2
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert (storage.names("uploads"), local(settings)) == (set(), [])


def test_upload_is_refused_if_workers_could_not_read_it(
    client: TestClient, settings: Settings, storage: Storage
) -> None:
    storage.gate.shut = True
    answer = client.post("/v1/datasets", params={"target": "label"}, content=TABLE, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert storage.gate.turned_away
    storage.gate.shut = False
    assert local(settings) == []
    assert not [one for one in client.get("/v1/datasets").json()["data"] if one["source"] == "uploaded"]
    assert uploaded(client)


def test_runs_can_name_an_upload_of_another_server(client: TestClient, settings: Settings) -> None:
    dataset = uploaded(client)
    for name in local(settings):
        (settings.upload_files.home / name).unlink()
    assert client.get(f"/v1/datasets/{dataset}").json()["missing"] is None
    assert client.patch(f"/v1/datasets/{dataset}", json={"drop": ["x"]}).status_code == 201
    answer = client.post("/v1/runs", json={**BODY, "dataset": {"kind": "uploaded", "id": dataset}})
    assert answer.status_code == 201, answer.text


def test_upload_survives_the_deletion_of_an_equal_one(
    client: TestClient, settings: Settings, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion falls between the sending and the transaction."""
    push = settings.upload_files.push

    def sent_and_deleted(name: str, source: Path | None = None) -> None:
        monkeypatch.undo()
        push(name, source)
        settings.upload_files.drop([name])

    monkeypatch.setattr(settings.upload_files, "push", sent_and_deleted)
    dataset = uploaded(client)
    assert storage.names("uploads") == {f"{dataset.removeprefix('dataset_')}.safetensors", SOURCE}


def test_weights_are_downloaded_on_request_and_503_reports_a_failure(
    engine: sa.Engine, runs: Runs, jobs: Jobs, settings: Settings, storage: Storage, client: TestClient
) -> None:
    run_id, name = trained(runs, jobs, settings)
    path = f"/v1/runs/{run_id}/model.safetensors?at=last"
    storage.gate.shut = True
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
    storage.gate.shut = False
    assert client.get(path).content == b"weights"
    settings.checkpoint_files.drop([name])
    assert client.get(path).status_code == 410


def test_old_unreferenced_objects_are_deleted_from_the_bucket(
    engine: sa.Engine,
    runs: Runs,
    jobs: Jobs,
    settings: Settings,
    storage: Storage,
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, named = trained(runs, jobs, settings)
    dataset = uploaded(client).removeprefix("dataset_")
    stray = settings.home / "stray"
    stray.write_bytes(b"left by the dead")
    settings.checkpoint_files.push("run_gone/attempt0001-epoch000001.safetensors", stray)
    for suffix in ("safetensors", "source"):
        settings.upload_files.push(f"{'0' * 64}.{suffix}", stray)
    keeping, uploads = Housekeeping(engine, settings), Uploads(engine, settings)
    keeping.look()
    uploads.sweep_storage()
    assert (len(storage.names("checkpoints")), len(storage.names("uploads"))) == (2, 4), "it may yet be recorded"
    monkeypatch.setattr(housekeeping, "GRACE_SECONDS", -60.0)
    monkeypatch.setattr(housekeeping, "left_over_since", lambda _: float("inf"))
    monkeypatch.setattr("service.datasets.service.left_over_since", lambda _: float("inf"))
    assert keeping.sweep_storage() == 1
    uploads.sweep_storage()
    assert storage.names("checkpoints") == {named}
    assert storage.names("uploads") == {f"{dataset}.safetensors", SOURCE}


def test_referenced_file_missing_from_the_bucket_is_sent_later(
    engine: sa.Engine, runs: Runs, jobs: Jobs, settings: Settings, storage: Storage, client: TestClient
) -> None:
    _, name = trained(runs, jobs, settings)
    settings.checkpoint_files.drop([name])  # as if the process had died before it was sent
    for path in (name, "run_other/attempt0001-epoch000001.safetensors"):
        file = settings.checkpoints / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"weights")
    housekeeping = Housekeeping(engine, settings)
    storage.gate.shut = True
    with pytest.raises(StorageUnavailable):
        housekeeping.send_unsent()
    assert (settings.checkpoints / name).exists()
    storage.gate.shut = False
    assert housekeeping.send_unsent() == 1
    assert storage.names("checkpoints") == {name}
    assert housekeeping.send_unsent() == 0


def test_unused_copies_are_deleted_after_a_day(
    engine: sa.Engine, runs: Runs, jobs: Jobs, settings: Settings, client: TestClient
) -> None:
    run_id, name = trained(runs, jobs, settings)
    path = f"/v1/runs/{run_id}/model.safetensors?at=last"
    assert client.get(path).content == b"weights"
    copy = settings.checkpoints / name
    keeping = Housekeeping(engine, settings)
    keeping.look()
    assert copy.exists()
    os.utime(copy, (1.0, 1.0))
    keeping.look()
    assert not copy.exists()
    assert client.get(path).content == b"weights"


def test_backup_contains_the_files_of_the_bucket(
    engine: sa.Engine, runs: Runs, jobs: Jobs, settings: Settings, client: TestClient, tmp_path: Path
) -> None:
    _, name = trained(runs, jobs, settings)
    dataset = uploaded(client).removeprefix("dataset_")
    for file in (f"{dataset}.safetensors", SOURCE):
        (settings.upload_files.home / file).unlink()
    done = back_up(settings, tmp_path / "copy")
    assert (done.files, done.lost) == (3, [])
    assert (tmp_path / "copy/checkpoints" / name).read_bytes() == b"weights"
    assert (tmp_path / f"copy/datasets/uploads/{dataset}.safetensors").exists()


def test_backup_fails_without_the_bucket(
    engine: sa.Engine, runs: Runs, jobs: Jobs, settings: Settings, storage: Storage, tmp_path: Path
) -> None:
    trained(runs, jobs, settings)
    storage.gate.shut = True
    with pytest.raises(StoreError, match=r"The storage .+ failed \("):
        back_up(settings, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def doctor(**more: str) -> dict[str, dict[str, str]]:
    environment = {**os.environ, **more}
    done = warm.fitwell("doctor", "--json", "--url", "http://127.0.0.1:9", env=environment, timeout=scaled(120))
    return {one["what"]: one for one in json.loads(done.stdout)}


def test_doctor_checks_the_storage(settings: Settings, storage: Storage) -> None:
    home = {"FITWELL_DATA_DIR": str(settings.home)}
    assert "storage" not in doctor(**home)
    result = doctor(**home, FITWELL_STORAGE_URL=storage.url)["storage"]
    assert (result["state"], result["detail"].startswith(storage.url)) == ("ok", True), result
    assert storage.names("checkpoints") == set()
    result = doctor(**home, FITWELL_STORAGE_URL="s3://no-such-bucket")["storage"]
    assert (result["state"], "s3://no-such-bucket" in result["detail"]) == ("fail", True)
    result = doctor(**home, FITWELL_STORAGE_URL="s3:/no")["storage"]
    assert (result["state"], "FITWELL_STORAGE_URL" in result["detail"]) == ("fail", True)


def test_setting_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITWELL_STORAGE_URL", "s3://bucket/prefix")
    assert load().storage_url == "s3://bucket/prefix"
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("service.settings.find_spec", lambda name: None if name == "obstore" else find_spec(name))
    with pytest.raises(SettingsError, match=r"pip install 'fitwell\[s3\]'"):
        load()


@pytest.mark.parametrize("url", ["bucket", "gs://bucket", "s3://", "s3://a b", "s3://Bucket/x y"])
def test_invalid_storage_url_is_refused_by_the_name_of_its_setting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITWELL_STORAGE_URL", url)
    with pytest.raises(SettingsError, match="FITWELL_STORAGE_URL"):
        load()


def test_storage_packages_are_not_imported_without_the_setting() -> None:
    code = (
        "import sys; from service.settings import load; s = load(); s.checkpoint_files, s.upload_files; "
        "import service.app, worker.agent; print('obstore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
