"""k nearest neighbours through the whole service: a curve over k, longer, once more, in a study, and cancelled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from tests.patience import eventually, scaled
from tests.processes import Serving, serving
from worker.spec.datasets.fashion_mnist import FashionMNIST

pytestmark = pytest.mark.slow
KNN: dict[str, Any] = {"dataset": {"kind": "digits", "label_noise": 0.2}, "model": {"kind": "knn"}, "epochs": 20}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("voting") / "home") as one:
        yield one


def call(served: Serving, method: str, path: str, **options: Any) -> Any:
    answer = httpx2.request(method, f"{served.client.transport.url}/v1/{path}", timeout=scaled(30), **options)
    assert answer.status_code < 300, answer.text
    return answer.json()


def digest(run: Any) -> str:
    digest: str = run.model_dump()["determinism"]["digest"]
    return digest


def test_knn_run_is_a_curve_over_k_and_can_be_extended(served: Serving) -> None:
    short = served.client.runs.create(**{**KNN, "epochs": 8}).wait(scaled(60))
    train, val = (np.array(short.history[name], float) for name in ("train.error", "val.error"))
    assert train[0] == 0.0
    assert val[7] < val[0], "noisy labels are outvoted"
    longer = short.extend(20).wait(scaled(60))
    whole = served.client.runs.create(reuse=False, **KNN).wait(scaled(60))
    assert digest(longer) == digest(whole)
    assert whole.verify(scaled(60)).outcome == "match"


def test_runs_of_several_seeds_share_a_stack_and_a_result(served: Serving) -> None:
    study = call(served, "POST", "studies", json={"base": KNN, "arms": {"knn": {}}, "seeds": [11, 12, 13]})
    runs = eventually(lambda: _ended(served, study["id"]), 60)
    assert [run["status"] for run in runs] == ["succeeded"] * 3
    assert len({str(run["last"]) for run in runs}) == 1


def _ended(served: Serving, study_id: str) -> Any:
    runs = call(served, "GET", f"runs?study_id={study_id}")["data"]
    return runs if all(run["terminal"] for run in runs) else None


def test_run_is_cancelled_during_the_neighbor_search(served: Serving) -> None:
    if FashionMNIST.missing(served.home / "datasets"):
        pytest.skip("FashionMNIST is not on this machine")
    body = {"dataset": {"kind": "fashion_mnist"}, "model": {"kind": "knn"}, "epochs": 50, "evaluate": {"train": "full"}}
    run = call(served, "POST", "runs", json=body)
    eventually(lambda: call(served, "GET", f"runs/{run['id']}")["status"] == "running", 60)
    time.sleep(3)
    call(served, "POST", f"runs/{run['id']}/cancel")
    eventually(lambda: call(served, "GET", f"runs/{run['id']}")["status"] == "cancelled", 20)
    assert call(served, "GET", f"runs/{run['id']}")["progress"]["epoch"] == 0
