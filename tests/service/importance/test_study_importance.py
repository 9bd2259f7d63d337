"""The importance of columns over the runs of a study."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from service.importance import service as importance
from service.statistics.sign_flip import interval
from tests.conftest import WORKER, body, measured
from tests.conftest import spec as spec_of
from tests.service.models.conftest import service as service  # noqa: PLC0414 - a fixture
from tests.service.models.serving import Service
from tests.service.models.test_table_predictions import ROW, table
from worker.ports import Claim, Outcome

pytestmark = pytest.mark.slow
SEEDS = 7
ARMS = {"plain": {}, "l2": {"regularizers_add": [{"kind": "l2", "strength": 0.1}]}}


@pytest.fixture(scope="module")
def study(service: Service) -> str:
    """A study on a table: the last seed of l2 diverged, all others have weights of their last epoch."""
    uploaded = service.client.post("/v1/datasets", content=table().encode(), headers={"content-type": "text/csv"})
    base = body(dataset={"kind": "uploaded", "id": uploaded.json()["id"]}, model={"kind": "linear"}, epochs=1)
    created = service.client.post("/v1/studies", json={"base": base, "arms": ARMS, "seeds": SEEDS, "at": "last"})
    assert created.status_code == 201, created.text
    while claims := service.work.claim(WORKER, limit=100):
        service.work.started(claims, device="cpu", determinism_class="test", baselines={})
        for claim in claims:
            finish(service, claim)
    study_id: str = created.json()["id"]
    return study_id


def finish(service: Service, claim: Claim) -> None:
    spec = spec_of(**claim.spec)
    if spec.regularizers and spec.seed == SEEDS - 1:
        service.work.finish([claim], [Outcome(run_id=claim.run_id, status="failed", code="diverged", message="…")])
        return
    random = np.random.default_rng(spec.seed)
    shapes = spec.model.parameters(spec.dataset.shape, spec.dataset.outputs)
    content = save({name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    service.work.record([claim], [measured(claim.run_id, 1, val_loss=1.0)])
    service.keep(claim, "last", content=content, epoch=1)
    service.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])


def measure(service: Service, study: str, **params: Any) -> Any:
    answer = service.client.get(f"/v1/studies/{study}/importance", params={"repeats": 2, "split": "test", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_importance_summarizes_that_of_the_runs(service: Service, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "SECONDS", 1e-9)
    first, second = (measure(service, study) for _ in range(2))
    assert (first["runs"], first["pending"], first["arms"][1]["unfinished"]) == (1, 2 * SEEDS - 2, SEEDS - 1)
    assert (second["runs"], second["pending"]) == (2, 2 * SEEDS - 3), "the first run's result is cached"
    monkeypatch.undo()
    answer = measure(service, study)
    plain, l2 = answer["arms"]
    assert (answer["runs"], answer["pending"], answer["complete"], answer["at"]) == (2 * SEEDS - 1, 0, True, "last")
    assert [(arm["n"], arm["diverged"]) for arm in (plain, l2)] == [(SEEDS, 0), (SEEDS - 1, 1)]

    runs = service.client.get("/v1/runs", params={"study_id": study}).json()["data"]
    own = [
        service.client.get(f"/v1/runs/{run['id']}/importance?repeats=2&split=test&at=last").json()
        for run in runs
        if run["arm"] == "plain"
    ]
    assert {one["column"] for one in plain["columns"]} == set(ROW)
    assert plain["value"] == pytest.approx(statistics.fmean(one["value"] for one in own))
    for column in plain["columns"]:
        values = [one["importance"] for run in own for one in run["columns"] if one["column"] == column["column"]]
        assert column["mean"] == pytest.approx(statistics.fmean(values))
        assert column["std"] == pytest.approx(statistics.stdev(values))
        assert column["ci"] == pytest.approx(interval(np.array(values), 0.05))
        assert column["positive"] == sum(value > 0 for value in values) / SEEDS
    assert [one["mean"] for one in plain["columns"]] == sorted((one["mean"] for one in plain["columns"]), reverse=True)


def test_limits_select_replicates_columns_and_arms(service: Service, study: str) -> None:
    answer = measure(service, study, runs=5, columns=2)
    assert (answer["replicates"], answer["left_out"], answer["runs"]) == ([0, 1], SEEDS - 2, 4)
    assert [(len(arm["columns"]), arm["column_count"], arm["missing"]) for arm in answer["arms"]] == [(2, 5, 0)] * 2
    assert [arm["arm"] for arm in measure(service, study, arm="l2")["arms"]] == ["l2"]


@pytest.mark.parametrize(
    ("params", "status", "text"),
    [
        ({"arm": "l3"}, 422, "Unknown arm 'l3'. The arms are 'plain', 'l2'."),
        ({"runs": 1}, 422, "One replicate of these arms has 2 runs"),
        ({"metric": "profit"}, 422, "The model has no metric 'profit'"),
        ({"at": "best"}, 404, "has no weights of its best epoch"),
    ],
)
def test_questions_without_an_answer_are_refused(
    service: Service, study: str, params: dict[str, Any], status: int, text: str
) -> None:
    answer = service.client.get(f"/v1/studies/{study}/importance", params={"split": "test", **params})
    assert (answer.status_code, text in answer.json()["detail"]) == (status, True), answer.text
