"""The uploads of a server on both databases: stored once, listed, deleted, also concurrently."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.callers import LOCAL
from service.datasets.errors import DatasetInUse
from service.datasets.service import Uploads
from service.errors import SpecRefused
from service.runs.run import Run
from service.runs.service import Runs
from service.runs.submission.dataset_refs import lock
from service.runs.submission.new_run import NewRun
from service.sandbox.parsing.options import Options
from service.settings import Settings
from service.store.database import writing
from tests.conftest import spec
from tests.patience import scaled
from tests.service.datasets.conftest import OCTETS
from tests.service.datasets.upload_files import npz

pytestmark = pytest.mark.slow

Y = np.arange(20) % 2


@pytest.fixture
def uploads(engine: sa.Engine, settings: Settings) -> Uploads:
    return Uploads(engine, settings)


def add(uploads: Uploads, content: bytes) -> str:
    with uploads.receiving() as place:
        place.body.write_bytes(content)
        dataset, _ = uploads.add(place, None, Options())
    return dataset.id


def test_uploads_are_stored_paged_previewed_and_deleted_on_both_databases(uploads: Uploads, settings: Settings) -> None:
    ids = [add(uploads, npz(x=np.arange(40.0).reshape(20, 2) + i, y=Y)) for i in range(2)]
    assert add(uploads, npz(x=np.arange(40.0).reshape(20, 2), y=Y)) == ids[0]
    page = uploads.page(limit=100, after=None)
    assert [one.id for one in page.datasets if one.source == "uploaded"] == ids[::-1]
    assert uploads.preview(ids[0]).content["class_counts"][0]["rows_train"] == 8
    uploads.delete(ids[0])
    assert [path.stem for path in (settings.datasets / "uploads").glob("*.safetensors")] == [
        ids[1].removeprefix("dataset_")
    ]


def test_run_submitted_during_deletion_has_its_dataset_or_is_refused(
    uploads: Uploads, runs: Runs, engine: sa.Engine
) -> None:
    dataset_id = add(uploads, npz(x=np.arange(40.0).reshape(20, 2), y=Y))
    new = NewRun(spec=spec(dataset={"kind": "uploaded", "id": dataset_id}))
    ended: list[BaseException | None] = []

    def delete() -> None:
        try:
            uploads.delete(dataset_id)
            ended.append(None)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=delete, daemon=True)

    def meanwhile(run: Run) -> str:
        """Called inside of the transaction that queues the run."""
        thread.start()
        thread.join(0.5)
        return run.id

    run_id = runs.submit(new, render=meanwhile).resource_id
    thread.join(scaled(20))
    assert isinstance(ended[0], DatasetInUse)
    runs.act(run_id, "cancel")
    known = runs.review(new).spec
    uploads.delete(dataset_id)
    with writing(engine) as connection, pytest.raises(SpecRefused, match=r"Uploaded dataset .* does not exist"):
        lock(connection, [known], LOCAL)


def test_any_name_is_stored_or_refused(settings: Settings) -> None:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        content = npz(x=np.arange(40.0).reshape(20, 2), y=Y)
        for name in ("\x00", "a\x00b"):
            answer = client.post("/v1/datasets", params={"name": name}, content=content, headers=OCTETS)
            assert answer.status_code in (200, 201, 422)
            files = list((settings.datasets / "uploads").glob("*.safetensors"))
            assert bool(files) == (answer.status_code != 422)
        assert client.get("/v1/datasets/%00").status_code in (404, 422)


def test_concurrent_equal_uploads_create_one_dataset(uploads: Uploads, settings: Settings) -> None:
    created, barrier = list[str](), threading.Barrier(2, timeout=scaled(20))
    content = npz(x=np.arange(40.0).reshape(20, 2), y=Y)

    def work() -> None:
        barrier.wait()
        created.append(add(uploads, content))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(30))
    assert (len(created), len(set(created))) == (2, 1)
    assert len(list((settings.datasets / "uploads").glob("*.safetensors"))) == 1
