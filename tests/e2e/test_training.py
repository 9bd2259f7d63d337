"""Runs trained by a real server: their losses, their stacks and how they end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.patience import eventually, scaled
from tests.processes import Serving, serving
from worker.spec.datasets.fashion_mnist import FashionMNIST

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]


SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [32]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 8,
}


BLOCKER: dict[str, Any] = {**SPEC, "model": {"kind": "mlp", "hidden": [33]}, "epochs": 300}
"""Keeps the worker busy while others are queued; shares no stack with them."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("serve") / "home") as one:
        yield one


def test_run_records_every_metric_in_every_epoch(served: Serving) -> None:
    run = served.client.runs.create(name="first", **SPEC).wait(scaled(60))
    history = run.history
    assert (run.status, history.complete, history.epoch) == ("succeeded", True, list(range(1, 9)))
    for name in (
        "train.loss",
        "train.objective",
        "train.loss_eval",
        "val.loss",
        "test.loss",
        "test.accuracy",
        "lr",
        "seconds",
    ):
        assert len(history[name]) == 8
        assert None not in history[name]
    losses = history["train.loss"]
    assert losses[-1] is not None and losses[0] is not None and losses[-1] < losses[0]  # noqa: PT018 - for the types


def test_confusion_matrix_agrees_with_the_last_test_accuracy(served: Serving) -> None:
    run = served.client.runs.create(seed=5, **SPEC).wait(scaled(60))
    confusion = httpx2.get(f"{served.client.transport.url}/v1/runs/{run.id}/confusion").json()
    hits, rows = sum(confusion["counts"][i][i] for i in range(10)), sum(map(sum, confusion["counts"]))
    assert hits / rows == run.history["test.accuracy"][-1]


def test_compatible_runs_share_a_stack(served: Serving) -> None:
    arms = [[], [{"kind": "dropout", "p": 0.2}], [{"kind": "l2", "strength": 0.01}]]
    blocker = served.client.runs.create(seed=99, **BLOCKER)
    runs = [served.client.runs.create(seed=7, regularizers=arm, **SPEC) for arm in arms]
    sizes = {run.wait(scaled(60)).model_dump()["stack"]["size"] for run in runs}
    blocker.wait(scaled(60))
    assert sizes == {3}


def test_cancelling_a_run_does_not_change_its_stack_peers(served: Serving) -> None:
    blocker = served.client.runs.create(seed=98, **BLOCKER)
    shared = {**SPEC, "epochs": 400}
    peer, cancelled = (served.client.runs.create(seed=seed, **shared) for seed in (21, 22))
    eventually(lambda: cancelled.refresh().progress.epoch > 3)
    cancelled.cancel()
    assert eventually(lambda: cancelled.refresh() if cancelled.refresh().terminal else None, 12).status == "cancelled"
    peer = peer.wait(scaled(120))
    alone = served.client.runs.create(seed=21, reuse=False, **shared).wait(scaled(120))
    assert peer.model_dump()["determinism"]["digest"] == alone.model_dump()["determinism"]["digest"]
    assert (peer.model_dump()["stack"]["size"], alone.model_dump()["stack"]["size"]) == (2, 1)
    blocker.wait(scaled(60))


def test_diverging_run_fails_and_keeps_its_history(served: Serving) -> None:
    wild = {**SPEC, "regularizers": [{"kind": "l2", "strength": 1e6}]}
    run = served.client.runs.create(seed=31, **wild).wait(scaled(60), check=False)
    assert run.error is not None
    assert (run.status, run.error.code) == ("failed", "diverged")
    history = run.history
    assert history.epoch
    assert history.nonfinite["train.objective"][str(history.epoch[-1])] in ("nan", "inf")


def test_early_stopping_ends_a_run_after_its_patience(served: Serving) -> None:
    rule = {"kind": "early_stopping", "metric": "val.loss", "patience": 3}
    other = {"kind": "train_loss_below", "threshold": 1e-9}
    run = served.client.runs.create(seed=32, stop=[other, rule], **{**SPEC, "epochs": 5000}).wait(scaled(120))
    losses = [value for value in run.history["val.loss"] if value is not None]
    assert len(losses) < 5000
    assert losses.index(min(losses)) == len(losses) - 4
    assert run.ended is not None
    assert run.ended.rule == {"index": 1, **run.spec["stop"][1]}
    assert sys.platform != "linux" or (run.peak_bytes or 0) > 2**26


def test_first_losses_agree_with_a_plain_pytorch_loop(served: Serving) -> None:
    """Figures of a plain PyTorch loop for the same system; see docs/science."""
    if FashionMNIST.missing(served.home):
        pytest.skip("FashionMNIST is not on this machine")
    dataset = {"kind": "fashion_mnist", "validation_size": 0, "normalize": {"mean": 0.1307, "std": 0.3081}}
    model = {"kind": "mlp", "hidden": [1024, 512]}
    run = served.client.runs.create(
        dataset=dataset, model=model, optimizer={"kind": "sgd", "lr": 0.01}, epochs=4, evaluate={"train": "never"}
    ).wait(scaled(110))
    for value, expected in zip(run.history["train.loss"], (0.77, 0.48, 0.43, 0.40), strict=True):
        assert value == pytest.approx(expected, rel=0.04)
