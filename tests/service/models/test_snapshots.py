"""Confusion matrix and weights of the best model, beside those of the last, which are stored with the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load
from sklearn.metrics import confusion_matrix

from tests.service.models.serving import DIGITS, Service
from worker.ports import Outcome

pytestmark = pytest.mark.slow
STORED: dict[str, Any] = {"confusion": [[1] * 10] * 10, "weights": []}


@pytest.fixture(scope="module")
def ended(service: Service) -> tuple[str, bytes]:
    """A run whose best epoch is its second of three, and the file of its best weights."""
    claim = service.begin(name="has a best epoch")
    for epoch in (2, 3):
        service.record(claim, epoch)
    content = service.keep(claim, "best", epoch=2)
    service.keep(claim, "last", epoch=3)
    service.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", reports=STORED)])
    return claim.run_id, content


def get(service: Service, run_id: str, name: str, **params: Any) -> Any:
    return service.client.get(f"/v1/runs/{run_id}/{name}", params=params)


def test_confusion_of_the_best_model_matches_scikit_learn(service: Service, ended: tuple[str, bytes]) -> None:
    run_id, _ = ended
    last = get(service, run_id, "confusion").json()
    assert (last["epoch"], last["counts"]) == (3, STORED["confusion"])
    assert get(service, run_id, "confusion", at="last").json() == last
    response = get(service, run_id, "confusion", at="best")
    best = response.json()
    rows = {"split": "test", "indices": list(range(len(DIGITS.test_y)))}
    predicted = np.argmax(service.predict(run_id, rows, at="best").json()["probabilities"], 1)
    assert best["epoch"] == 2
    assert best["counts"] == confusion_matrix(DIGITS.test_y, predicted, labels=range(10)).tolist()
    cached = service.client.get(response.url, headers={"if-none-match": response.headers["etag"]})
    assert (cached.status_code, cached.content) == (304, b"")


def test_weights_of_the_best_model_match_numpy(service: Service, ended: tuple[str, bytes]) -> None:
    run_id, content = ended
    assert get(service, run_id, "weights").json() == {
        "object": "weights", "run_id": run_id, "epoch": 3, "parameters": STORED["weights"],
    }  # fmt: skip
    best = get(service, run_id, "weights", at="best").json()
    values = load(content)
    assert (best["epoch"], {one["name"] for one in best["parameters"]}) == (2, set(values))
    for one in best["parameters"]:
        own = values[one["name"]].astype(float)
        assert one["shape"] == list(own.shape)
        assert (one["norm"], one["std"]) == pytest.approx((np.linalg.norm(own.ravel()), own.std()))
        assert sum(one["histogram"]["counts"]) == own.size


def test_models_that_were_not_saved_or_have_no_matrix_are_refused(service: Service, ended: tuple[str, bytes]) -> None:
    run_id, _ = ended
    for name in ("confusion", "weights"):
        averaged = get(service, run_id, name, at="averaged")
        assert (averaged.status_code, averaged.json()["title"]) == (404, "Weights not saved")
        assert get(service, run_id, name, at="first").status_code == 422
        assert get(service, "run_none", name, at="best").json()["code"] == "run_not_found"
    claim = service.begin(seed=58)
    assert get(service, claim.run_id, "confusion").json()["code"] == "not_measured"
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")
