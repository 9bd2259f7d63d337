"""Calibration of stored models: against the model's predictions, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.conftest import spec as spec_of
from tests.service.models.serving import DIGITS, Service
from tests.worker.spec.test_graph import trained, weights_of
from worker.spec.rng import parted
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow


def get(service: Service, run_id: str, **params: Any) -> Any:
    return service.client.get(f"/v1/runs/{run_id}/calibration", params=params)


def test_calibration_matches_the_models_predictions(service: Service, run_id: str) -> None:
    spec = RunSpec.of(service.client.get(f"/v1/runs/{run_id}").json()["spec"])
    rows = parted(spec.dataset, DIGITS)[1]
    for split, x, y in (("test", DIGITS.test_x, DIGITS.test_y), ("val", DIGITS.train_x[rows], DIGITS.train_y[rows])):
        response = get(service, run_id, split=split, at="last", bins=4)
        assert response.status_code == 200, response.text
        result = response.json()
        predictions = service.predict(run_id, {"split": split, "indices": list(range(len(y)))}, at="last").json()
        assert predictions["true_labels"] == y.tolist()
        p = np.array(predictions["probabilities"])
        assert len(p) == len(x) == result["rows"] == sum(one["count"] for one in result["bins"])
        confidence, hit = p.max(1), p.argmax(1) == y
        expected = (hit.mean(), confidence.mean(), np.square(p - np.eye(10)[y]).sum(1).mean())
        assert (result["accuracy"], result["confidence"], result["brier"]) == pytest.approx(expected, rel=1e-5)
        place = np.ceil(confidence * 4) - 1
        inside = [place == k for k in range(4)]
        assert [one["count"] for one in result["bins"]] == [int(one.sum()) for one in inside]
        ece = sum(abs(hit[one].sum() - confidence[one].sum()) for one in inside) / len(y)
        assert result["ece"] == pytest.approx(ece, abs=1e-6)
    identity = {name: result[name] for name in ("object", "run_id", "at", "epoch", "split")}
    assert identity == {"object": "calibration", "run_id": run_id, "at": "last", "epoch": 2, "split": "val"}
    cached = service.client.get(response.url, headers={"if-none-match": response.headers["etag"]})
    assert (cached.status_code, cached.content) == (304, b"")
    assert len(get(service, run_id).json()["bins"]) == 15


def test_calibration_without_probabilities_or_rows_is_refused(service: Service) -> None:
    assert get(service, "run_none").json()["code"] == "run_not_found"
    number = service.finished(dataset={"kind": "linear"}, model={"kind": "linear"})
    refused = get(service, number)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_measured")
    assert "r2 and rmse" in refused.json()["detail"]
    unsplit = service.finished(dataset={"kind": "digits", "validation_size": 0})
    refused = get(service, unsplit, split="val")
    assert (refused.status_code, refused.json()["errors"][0]["allowed"]) == (422, ["train", "test"])
    assert get(service, unsplit, bins=0).status_code == 422


def test_calibration_of_outputs_that_are_not_numbers_is_refused(service: Service) -> None:
    claim = service.begin(seed=57)
    values = weights_of(trained(spec_of(seed=57)))
    service.keep(claim, "best", content=save({name: value * np.float32("nan") for name, value in values.items()}))
    refused = get(service, claim.run_id)
    assert (refused.status_code, "not numbers for" in refused.json()["detail"]) == (422, True)
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")
