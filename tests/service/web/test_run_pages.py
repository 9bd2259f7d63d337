"""Every page of a run renders in every state, without a browser."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Outcome

SPECS: dict[str, dict[str, Any]] = {
    "least": {},
    "averaged": {"averaging": {"kind": "ema", "decay": 0.9}},
    "clipped": {"gradient_clipping": {"kind": "norm", "max": 1.0}},
    "uneven epochs": {"evaluate": {"every": 2}},
    "layers": {
        "model": {
            "kind": "sequential",
            "layers": [{"kind": "flatten"}, {"kind": "dense", "width": 8}, {"kind": "relu"}],
        }
    },
    "not trained": {"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64},
}
ENDS: dict[str, dict[str, Any]] = {
    "succeeded": {"status": "succeeded"},
    "failed": {"status": "failed", "code": "diverged", "message": "The loss of epoch 2 is not finite."},
}


@pytest.fixture(params=SPECS)
def posted(request: pytest.FixtureRequest, client: TestClient) -> str:
    spec = body(**SPECS[request.param])
    answer = client.post("/v1/runs", json=spec)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def render(client: TestClient, run: str) -> str:
    """Return the text of the run's page and its report; both must render."""
    answers = [client.get(path, headers={"accept": "text/html"}) for path in (f"/runs/{run}", f"/runs/{run}/report")]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    return "".join(answer.text for answer in answers)


def test_pages_of_a_queued_run_render(client: TestClient, posted: str) -> None:
    assert "queued" in render(client, posted)


@pytest.mark.parametrize("end", ENDS)
def test_pages_of_a_run_that_ended_render(client: TestClient, work: Jobs, posted: str, end: str) -> None:
    claims = work.claim(WORKER, limit=1)
    work.started(claims, device="cpu", determinism_class="test", baselines={posted: {}})
    for epoch in (1, 2):
        work.record(claims, [measured(posted, epoch, train_loss=1 / epoch, val_loss=1 / epoch)])
    assert "running" in render(client, posted)
    work.finish(claims, [Outcome(run_id=posted, **ENDS[end])])
    assert end in render(client, posted)


@pytest.mark.parametrize(("from_epoch", "offered"), [(1, True), (2, False), (None, False)])
def test_page_offers_averaged_weights_once_averaging_has_begun(
    client: TestClient, work: Jobs, from_epoch: int | None, offered: bool
) -> None:
    averaging = {} if from_epoch is None else {"averaging": {"kind": "swa", "from_epoch": from_epoch}}
    run = client.post("/v1/runs", json=body(**averaging)).json()["id"]
    claims = work.claim(WORKER, limit=1)
    work.record(claims, [measured(run, 1)])
    work.finish(claims, [Outcome(run_id=run, status="succeeded", code="stopped_early")])
    assert ("?at=averaged" in client.get(f"/runs/{run}").text) is offered
    problem = client.get(f"/v1/runs/{run}/model.safetensors?at=averaged").json()
    assert (problem["status"], problem["code"], problem["title"]) == (404, "not_measured", "Weights not saved")
    expected = {1: "save them when they end", 2: "ended after epoch 1, and averaging begins after epoch 2"}
    assert expected.get(from_epoch or 0, "only runs with averaging") in problem["detail"]


RULE = {"kind": "early_stopping", "patience": 2}


@pytest.mark.parametrize(
    ("changes", "epochs", "offered"),
    [
        ({"epochs": 9, "stop": [RULE]}, 3, True),
        ({"epochs": 9, "stop": [RULE], "schedule": {"kind": "cosine"}}, 3, True),
        ({"epochs": 3, "stop": [RULE]}, 3, False),
        ({"epochs": 9, "stop": [{"kind": "max_steps", "steps": 3}]}, 3, False),
        ({"epochs": 9, "stop": [RULE], "evaluate": {"every": 2}}, 3, False),
    ],
)
def test_page_offers_to_continue_runs_that_a_rule_ended(
    client: TestClient, work: Jobs, changes: dict[str, Any], epochs: int, offered: bool
) -> None:
    run = client.post("/v1/runs", json=body(**changes)).json()["id"]
    claims = work.claim(WORKER, limit=1)
    for epoch in range(1, epochs + 1):
        work.record(claims, [measured(run, epoch)])
    work.finish(claims, [Outcome(run_id=run, status="succeeded", code="stopped_early")])
    assert ('data-action="extend"' in client.get(f"/runs/{run}").text) is offered


@pytest.mark.parametrize(
    ("code", "determinism_class", "offered"),
    [
        ("diverged", "test", False),
        ("diverged", "none", True),
        ("time_limit", "test", True),
        ("disk_full", "test", True),
    ],
)
def test_page_offers_no_retry_that_would_fail_again_in_the_same_way(
    client: TestClient, work: Jobs, code: str, determinism_class: str, offered: bool
) -> None:
    run = client.post("/v1/runs", json=body()).json()["id"]
    claims = work.claim(WORKER, limit=1)
    work.started(claims, device="cpu", determinism_class=determinism_class)
    work.record(claims, [measured(run, 1)])
    work.finish(claims, [Outcome(run_id=run, status="failed", code=code, message="It failed.")])
    assert ('data-action="retry"' in client.get(f"/runs/{run}").text) is offered
