"""Starting a reproduction again, on both databases: concurrently, after cancels, with teachers, with added seeds."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.bias_variance.service import BiasVariances
from service.models.service import Models
from service.reproductions import published, service
from service.reproductions.service import Reproductions
from service.runs.bodies import run_of
from service.settings import Settings
from service.store.database import open_engine, reading
from service.store.tables import reproduction, study
from service.studies.bodies import StudyBody
from service.studies.service import Studies
from tests.conftest import BODY
from tests.patience import scaled
from tests.service.reproductions.planted import NAME, PLANTED, body

PATH = f"/v1/reproductions/{NAME}"


def reproductions_on(engine: sa.Engine, settings: Settings) -> Reproductions:
    studies = Studies(engine, settings, run_of)
    bias_variances = BiasVariances(studies, Models(engine, settings))
    return Reproductions(engine, settings, studies, bias_variances, run_of, StudyBody.study_of)


@pytest.mark.usefixtures("registry")
def test_concurrent_starts_create_one_set_of_studies(engine: sa.Engine, settings: Settings) -> None:
    barrier, started = threading.Barrier(3, timeout=scaled(20)), list[bool]()

    def work() -> None:
        own = open_engine(settings)
        mine = reproductions_on(own, settings)
        barrier.wait()
        started.append(mine.start(NAME, "quick"))
        own.dispose()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(60))
    assert sorted(started) == [False, False, True]
    with reading(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(reproduction)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(study)) == 2
    state = reproductions_on(engine, settings).get(NAME, "quick")
    assert (state.status, [len(one.arms) for one in state.existing]) == ("queued", [2, 2])


def plant(monkeypatch: pytest.MonkeyPatch, **one: Any) -> None:
    """Replace the studies of the planted reproduction by one, and its claims by one on a pair of arms."""
    claims = {"true": PLANTED.claims["true"]}
    studies = {"quick": {"one": {**body(), **one}}, "full": {"one": body(epochs=5)}}
    changed = PLANTED.model_copy(update={"claims": claims, "studies": studies})
    for module in (published, service):
        monkeypatch.setattr(module, "reproductions", lambda: {NAME: changed})


def start(client: TestClient) -> Any:
    response = client.post(PATH, json={})
    assert response.status_code in (200, 201), response.text
    return response.json()


def test_cancelled_sequential_study_is_created_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, seeds={"max": 16})
    (before,) = start(client)["studies"]
    assert client.post(f"/v1/studies/{before['study_id']}/cancel").status_code == 202
    view = client.get(PATH).json()
    assert view["claims"][0]["result"]["verdict"] == "pending"
    assert "cancelled" in view["claims"][0]["result"]["explanation"]
    (after,) = start(client)["studies"]
    assert after["study_id"] != before["study_id"]
    assert after["progress"]["by_status"] == {"queued": 16}
    assert start(client)["studies"] == [after]


def test_tuned_study_is_pending_until_its_confirmation(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    space = {"optimizer.lr": {"distribution": "log_uniform", "low": 0.01, "high": 1.0}}
    dropout = {"regularizers_add": [{"kind": "dropout", "p": 0.4}]}
    tuned = {"base": BODY, "tune": {"budget": 2, "space": space, "arms": {"plain": {}, "dropout": dropout}}}
    changed = PLANTED.model_copy(
        update={
            "claims": {"true": PLANTED.claims["true"]},
            "studies": {"quick": {"one": tuned}, "full": {"one": tuned}},
        }
    )
    for module in (published, service):
        monkeypatch.setattr(module, "reproductions", lambda: {NAME: changed})
    view = start(client)
    assert view["claims"][0]["result"]["verdict"] == "pending"
    assert client.post(f"/v1/studies/{view['studies'][0]['study_id']}/cancel").status_code == 202
    stopped = client.get(PATH).json()
    assert (stopped["status"], stopped["claims"][0]["result"]["verdict"]) == ("finished", "pending")
    assert start(client)["studies"][0]["study_id"] != view["studies"][0]["study_id"]


def test_teachers_are_queued_again_before_their_students(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    taught = {"kind": "distillation", "teachers": [{"spec": {**BODY, "seed": 99}}]}
    plant(monkeypatch, base={**BODY, "regularizers": [taught]})
    start(client)
    (teacher,) = client.get("/v1/runs", params={"filter": "study_id = null"}).json()["data"]
    assert client.post(f"/v1/runs/{teacher['id']}/cancel").status_code == 202
    assert client.get(PATH).json()["studies"][0]["progress"]["by_status"] == {"failed": 16}
    assert start(client)["studies"][0]["progress"]["by_status"] == {"waiting": 16}
    assert client.get(f"/v1/runs/{teacher['id']}").json()["status"] == "queued"
    for query in ("status=waiting", "status=queued"):
        for run in client.get(f"/v1/runs?{query}&limit=100").json()["data"]:
            client.post(f"/v1/runs/{run['id']}/cancel")
    assert client.delete(f"/v1/runs/{teacher['id']}").status_code == 204
    assert start(client)["studies"][0]["progress"]["by_status"] == {"cancelled": 16}
