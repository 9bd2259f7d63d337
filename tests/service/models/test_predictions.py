"""Predictions of a trained model."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import save

from service.http import bodies
from service.http.bodies import parse
from service.models.inputs import LARGEST
from service.settings import Settings
from tests.conftest import body
from tests.conftest import spec as spec_of
from tests.patience import scaled
from tests.service.models.serving import DIGITS, ROW, Service, serving, weights
from tests.worker.spec.test_graph import by_engine, trained, weights_of

pytestmark = pytest.mark.slow


def test_predictions_equal_the_engines_for_sent_rows_and_for_dataset_rows(service: Service, run_id: str) -> None:
    expected = np.exp(by_engine(trained(spec_of()), 20))
    named = service.predict(run_id, {"split": "test", "indices": list(range(20))}).json()
    flat = service.predict(run_id, {"inputs": DIGITS.test_x[:20].reshape(20, -1).tolist()}).json()
    nested = service.predict(run_id, {"inputs": DIGITS.test_x[:20].tolist()}).json()
    for response_data in (named, flat, nested):
        np.testing.assert_allclose(response_data["probabilities"], expected, atol=1e-5)
        assert response_data["labels"] == expected.argmax(1).tolist()
        assert response_data["names"] == [str(label) for label in response_data["labels"]]
        assert (response_data["run_id"], response_data["at"], response_data["epoch"]) == (run_id, "best", 2)
        assert response_data["class_names"] == list("0123456789")
    assert named["true_labels"] == DIGITS.test_y[:20].tolist()
    assert (named["split"], named["indices"]) == ("test", list(range(20)))
    assert (flat["split"], flat["indices"], flat["true_labels"]) == (None, None, None)


def test_bodies_are_parsed_one_at_a_time_to_bound_memory(
    service: Service, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, met = threading.Barrier(2, timeout=0.3), list[bool]()

    def parsed(*arguments: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()
            met.append(True)
        return parse(*arguments)

    monkeypatch.setattr(bodies, "parse", parsed)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asking = [pool.submit(service.predict, run_id, {"inputs": [ROW]}) for _ in range(3)]
        assert [one.result(scaled(30)).status_code for one in asking] == [200] * 3
    assert met == []


def test_reused_run_predicts_with_the_weights_of_the_run_it_took_over(service: Service, run_id: str) -> None:
    reused = service.client.post("/v1/runs", json=body()).json()
    assert reused["reused_from"] == run_id
    ours, theirs = (service.predict(one, {"inputs": [ROW]}).json() for one in (reused["id"], run_id))
    assert (ours.pop("run_id"), theirs.pop("run_id")) == (reused["id"], run_id)
    assert ours == theirs


def test_running_run_predicts_with_its_best_weights_so_far(service: Service) -> None:
    claim = service.begin(seed=50)
    early = service.predict(claim.run_id, {"inputs": [ROW]})
    assert (early.status_code, early.json()["code"]) == (404, "not_measured")
    assert "first saved during training" in early.json()["detail"]
    service.keep(claim, "best", epoch=1)
    assert service.predict(claim.run_id, {"inputs": [ROW]}).json()["epoch"] == 1
    late = service.predict(claim.run_id, {"inputs": [ROW]}, at="last")
    assert (late.status_code, "at=best is available now" in late.json()["detail"]) == (404, True)
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_best_and_last_are_different_models(service: Service) -> None:
    claim = service.begin(seed=51)
    service.keep(claim, "best", epoch=1)
    spec = spec_of(seed=52)
    other = service.keep(claim, "last", content=weights(seed=52), epoch=9)
    best, last = (service.predict(claim.run_id, {"inputs": [ROW]}, at=at).json() for at in ("best", "last"))
    assert best["probabilities"] != last["probabilities"]
    assert (last["epoch"], spec.seed) == (9, 52)
    assert service.client.get(f"/v1/runs/{claim.run_id}/model.safetensors?at=last").content == other
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_prediction_that_is_not_a_number_is_null(service: Service) -> None:
    claim = service.begin(seed=53)
    values = weights_of(trained(spec_of(seed=53)))
    service.keep(claim, "best", content=save({name: value * np.float32("inf") for name, value in values.items()}))
    response_data = service.predict(claim.run_id, {"inputs": [ROW, [1] * 64]}).json()
    assert response_data["labels"] == [None, None]
    assert response_data["names"] == [None, None]
    assert None in response_data["probabilities"][0]
    huge = service.predict(service.finished(seed=54), {"inputs": [[LARGEST] * 64]}).json()
    assert len(huge["probabilities"][0]) == 10
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_killed_process_fails_one_request_and_not_the_next(service: Service, run_id: str) -> None:
    assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
    pid = service.pid
    os.kill(pid, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asking = pool.submit(service.predict, run_id, {"inputs": [ROW]})
        while not asking.running():
            pass
        os.kill(pid, signal.SIGKILL)
        answer = asking.result(scaled(30))
    assert answer.status_code in (200, 503), "the process was killed before or after the request"
    if answer.status_code == 503:
        assert answer.headers["retry-after"]
        assert "SIGKILL" in answer.json()["detail"]
    assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
    assert service.pid != pid


def test_hanging_process_is_a_504_and_the_next_request_works(on_sqlite: Settings) -> None:
    for service in serving(on_sqlite.model_copy(update={"predict_seconds": 3})):
        run_id = service.finished()
        assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
        os.kill(service.pid, signal.SIGSTOP)
        answer = service.predict(run_id, {"inputs": [ROW]})
        assert (answer.status_code, answer.json()["code"]) == (504, "took_too_long")
        assert service.client.get("/healthz").status_code == 200
        assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
        pid = service.pid
    assert not psutil.pid_exists(pid), "it ends with the service"


def test_data_missing_on_this_machine_are_reported(
    on_sqlite: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.spec.datasets.kmnist import KMNIST

    monkeypatch.setattr(KMNIST, "missing", lambda *_: None)  # the files existed when the run was submitted
    for service in serving(on_sqlite):
        run_id = service.finished(dataset={"kind": "kmnist", "train_size": 50}, model={"kind": "linear"})
        answer = service.predict(run_id, {"split": "test", "indices": [0]})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "dataset_missing")
        assert "fitwell data fetch kmnist" in answer.json()["detail"]
        assert service.predict(run_id, {"inputs": [[0] * 784]}).status_code == 200
