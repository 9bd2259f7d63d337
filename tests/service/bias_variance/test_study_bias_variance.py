"""Bias and variance of a study's arms, from models that the tests write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save
from scipy.special import rel_entr
from scipy.stats import gmean

from service.bias_variance import predicted_runs
from service.bias_variance import service as bias_variance
from service.models.service import Models
from tests.conftest import WORKER, body, measured
from tests.conftest import spec as spec_of
from tests.service.models.conftest import service as service  # noqa: PLC0414 - a fixture
from tests.service.models.serving import DIGITS, Service
from worker.ports import Claim, Outcome
from worker.spec.rng import noisy, parted
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow
SEEDS = 4
LINEAR = {"model": {"kind": "linear"}, "epochs": 1}
ARMS = {"plain": {}, "l2": {"regularizers_add": [{"kind": "l2", "strength": 0.1}]}}
REPLICATES = {"n": SEEDS, "vary": ["seed", "split"]}


def create(service: Service, **changes: Any) -> str:
    """Create a study and finish its runs, each with random weights of its own; return its id."""
    sent = {"base": body(**LINEAR), "arms": ARMS, "replicates": REPLICATES, "at": "last", **changes}
    sent = {name: value for name, value in sent.items() if value is not None}
    created = service.client.post("/v1/studies?reuse=false", json=sent)
    assert created.status_code == 201, created.text
    while claims := service.work.claim(WORKER, limit=100):
        service.work.started(claims, device="cpu", determinism_class="test", baselines={})
        for claim in claims:
            finish(service, claim)
    study_id: str = created.json()["id"]
    return study_id


def finish(service: Service, claim: Claim) -> None:
    """Finish a run with weights; runs with L2 of the last seed diverge."""
    spec = RunSpec.of(claim.spec)
    if spec.regularizers and spec.seed == SEEDS - 1:
        service.work.finish([claim], [Outcome(run_id=claim.run_id, status="failed", code="diverged", message="…")])
        return
    if spec.model.trains:
        random = np.random.default_rng(spec.seed)
        shapes = spec.model.parameters(spec.dataset.shape, spec.dataset.outputs)
        tensors = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    else:
        tensors = {"k": np.array(spec.epochs, np.float32)}
    service.work.record([claim], [measured(claim.run_id, 1, val_loss=1.0, test_loss=1.0)])
    service.keep(claim, "last", content=save(tensors), epoch=1)
    service.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])


@pytest.fixture(scope="module")
def study(service: Service) -> str:
    return create(service)


def get(service: Service, study: str, **params: Any) -> Any:
    answer = service.client.get(f"/v1/studies/{study}/bias-variance", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(service: Service, study: str, status: int, **params: Any) -> str:
    answer = service.client.get(f"/v1/studies/{study}/bias-variance", params=params)
    assert answer.status_code == status, answer.text
    detail: str = answer.json()["detail"]
    return detail


def predictions(service: Service, study: str, arm: str, rows: int) -> NDArray[np.float64]:
    """Return what /predict says about every test row, (R, N, …)."""
    runs = service.client.get("/v1/runs", params={"study_id": study}).json()["data"]
    results = []
    for run in sorted((run for run in runs if run["arm"] == arm), key=lambda run: run["seed"]):
        if run["status"] == "succeeded":
            sent = {"split": "test", "indices": list(range(rows))}
            answer = service.predict(run["id"], sent, at="last").json()
            results.append(answer.get("probabilities") or answer["predictions"])
    return np.array(results)


def test_parts_are_those_of_the_models_predictions(service: Service, study: str) -> None:
    answer = get(service, study)
    assert (answer["at"], answer["complete"], answer["pending"]) == ("last", True, 0)
    assert answer["generalizes_over"] == ["seed", "split"]
    plain, l2 = answer["arms"]
    rows, y = len(DIGITS.test_y), DIGITS.test_y
    assert [(arm["runs"], arm["rows"], arm["diverged"]) for arm in (plain, l2)] == [
        (SEEDS, rows, 0),
        (SEEDS - 1, rows, 1),
    ]
    p = predictions(service, study, "plain", rows)
    losses = plain["losses"]
    assert list(losses) == ["cross_entropy", "zero_one", "brier"]

    q = np.array([gmean(p[:, i]) / gmean(p[:, i]).sum() for i in range(rows)])
    expected = (-np.log(q[np.arange(rows), y]).mean(), np.mean([rel_entr(q, one).sum(1) for one in p]))
    entropy = losses["cross_entropy"]
    assert (entropy["bias"], entropy["variance"]) == pytest.approx(expected, rel=1e-4)
    assert entropy["loss"] == pytest.approx(-np.log(p[:, np.arange(rows), y]).mean(), rel=1e-4)

    truth = np.eye(10)[y]
    variance = p.var(axis=0, ddof=1).sum(1).mean()
    brier = losses["brier"]
    assert brier["variance"] == pytest.approx(variance, rel=1e-4)
    assert brier["bias"] == pytest.approx(np.square(p.mean(0) - truth).sum(1).mean() - variance / SEEDS, rel=1e-4)

    votes = p.argmax(2)
    main = np.array([np.bincount(votes[:, i], minlength=10).argmax() for i in range(rows)])
    assert losses["zero_one"]["loss"] == pytest.approx((votes != y).mean())
    assert losses["zero_one"]["bias"] == pytest.approx((main != y).mean())
    assert losses["zero_one"]["variance"] == pytest.approx((votes != main).mean())
    for parts in losses.values():
        assert parts["bias"] + parts["net_variance"] == pytest.approx(parts["loss"], rel=1e-12)
    assert [parts["corrected"] for parts in losses.values()] == [False, False, True]
    assert get(service, study, arm="l2")["arms"] == [l2]


def test_regression_has_squared_bias_and_variance(service: Service) -> None:
    dataset = {"kind": "linear", "data_seed": 3, "train_size": 30, "validation_size": 0}
    study = create(service, base=body(**LINEAR, dataset=dataset), arms={"plain": {}})
    (arm,) = get(service, study)["arms"]
    p = predictions(service, study, "plain", arm["rows"])
    run = service.client.get("/v1/runs", params={"study_id": study}).json()["data"][0]["id"]
    sent = {"split": "test", "indices": list(range(arm["rows"]))}
    y = np.array(service.predict(run, sent, at="last").json()["targets"])
    (parts,) = arm["losses"].values()
    variance = p.var(axis=0, ddof=1).mean()
    expected = (np.square(p - y).mean(), np.square(p.mean(0) - y).mean() - variance / SEEDS, variance)
    assert (parts["loss"], parts["bias"], parts["variance"]) == pytest.approx(expected, rel=1e-4)
    assert list(arm["losses"]) == ["squared_error"]


def test_nearest_neighbors_vote_with_the_training_rows_of_each_split(service: Service) -> None:
    dataset = {"kind": "digits", "train_size": 90, "validation_size": 0, "label_noise": 0.2}
    base = {"dataset": dataset, "model": {"kind": "knn"}, "epochs": 3}
    study = create(service, base=base, arms={"knn": {}})
    (arm,) = get(service, study)["arms"]
    test = DIGITS.test_x.reshape(len(DIGITS.test_x), -1).astype(int)
    p = []
    for seed in range(SEEDS):
        split = spec_of(dataset={**dataset, "split_seed": seed}).dataset
        train, _ = parted(split, DIGITS)
        labels = noisy(DIGITS.train_y[train], split)
        known = DIGITS.train_x[train].reshape(len(train), -1).astype(int)
        of_run = []
        for row in test:
            nearest = np.lexsort((np.arange(len(train)), np.square(known - row).sum(1)))
            of_run.append((np.bincount(labels[nearest[:3]], minlength=10) + 0.1) / 4)
        p.append(of_run)
    values, truth = np.array(p), np.eye(10)[DIGITS.test_y]
    variance = values.var(axis=0, ddof=1).sum(1).mean()
    brier = arm["losses"]["brier"]
    expected = (np.square(values - truth).sum(2).mean(), variance)
    assert (brier["loss"], brier["variance"]) == pytest.approx(expected, rel=1e-6)


def test_predictions_are_made_within_the_time_of_a_request_and_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = create(service, base=body(**LINEAR, batch_size=16))
    monkeypatch.setattr(bias_variance, "SECONDS", 1e-9)
    first = get(service, study)
    assert (first["pending"], first["arms"][0]["losses"]) == (2 * SEEDS - 2, {})
    while (answer := get(service, study))["pending"]:
        assert answer["pending"] < first["pending"]
        first = answer
    monkeypatch.setattr(Models, "compute", None)
    assert get(service, study) == answer, "nothing is computed again"


def test_runs_beyond_the_room_for_predictions_are_left_out(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    study = create(service, base=body(**LINEAR, batch_size=8), arms={"plain": {}})
    monkeypatch.setattr(predicted_runs, "ARM_BYTES", 3 * len(DIGITS.test_y) * 56)
    (arm,) = get(service, study)["arms"]
    assert (arm["runs"], arm["left_out"]) == (3, SEEDS - 3)


def test_arm_with_fewer_than_two_finished_runs_is_refused(service: Service) -> None:
    study = create(service, replicates=None, seeds=1, arms={"plain": {}})
    detail = refused(service, study, 404)
    assert detail.startswith("Arm 'plain' has 1 finished run; bias and variance need at least 2")
    assert "Add seeds" in detail
    sent = {"base": body(**LINEAR, batch_size=9), "arms": {"plain": {}}, "seeds": 3, "at": "last"}
    queued = service.client.post("/v1/studies", json=sent).json()["id"]
    assert "3 more are queued or running" in refused(service, queued, 404)
    service.client.post(f"/v1/studies/{queued}/cancel")


def test_study_that_never_saw_test_rows_is_refused(service: Service) -> None:
    study = create(service, base=body(**LINEAR, evaluate={"test": "never"}), arms={"plain": {}})
    assert "are not evaluated on test rows: evaluate.test is 'never'" in refused(service, study, 404)


def test_runs_with_different_test_rows_are_refused(service: Service) -> None:
    study = create(service, base=body(**LINEAR, dataset={"kind": "linear"}), arms={"plain": {}})
    detail = refused(service, study, 422)
    assert "The runs of arm 'plain' predict different test rows" in detail
    assert "dataset.data_seed" in detail


@pytest.mark.parametrize(
    ("params", "status", "text"),
    [
        ({"arm": "l3"}, 422, "Unknown arm 'l3'. The arms are 'plain', 'l2'."),
        ({"at": "best"}, 404, "has no weights of its best epoch"),
    ],
)
def test_questions_without_an_answer_are_refused(
    service: Service, study: str, params: dict[str, str], status: int, text: str
) -> None:
    assert text in refused(service, study, status, **params)


def test_outputs_that_are_not_numbers_are_refused(service: Service) -> None:
    sent = {"base": body(**LINEAR, batch_size=7), "arms": {"plain": {}}, "seeds": 2, "at": "last"}
    study = service.client.post("/v1/studies", json=sent).json()["id"]
    for claim in service.work.claim(WORKER, limit=2):
        spec = RunSpec.of(claim.spec)
        shapes = spec.model.parameters(spec.dataset.shape, spec.dataset.outputs)
        content = save({name: np.full(shape, np.nan, np.float32) for name, shape in shapes.items()})
        service.work.started([claim], device="cpu", determinism_class="test", baselines={})
        service.work.record([claim], [measured(claim.run_id, 1, val_loss=1.0, test_loss=1.0)])
        service.keep(claim, "last", content=content, epoch=1)
        service.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])
    assert "are not numbers: training diverged" in refused(service, study, 422)
