"""Trained models through the front doors: what is predicted, drawn and fetched is what the engine measured."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import onnxruntime
import psutil
import pytest
from safetensors.numpy import load_file

import fitwell
from tests import warm
from tests.e2e.test_live_updates import LONG
from tests.e2e.test_serve import SPEC
from tests.patience import eventually, scaled
from tests.processes import Serving, serving, serving_anew
from worker.spec.datasets.digits import Digits
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow
DIGITS = Digits.load(Path("/nowhere"))
ALL = range(len(DIGITS.test_y))
RUNS: dict[str, dict[str, Any]] = {
    "dropout": {
        "model": {"kind": "mlp", "hidden": [32, 16], "activation": "tanh"},
        "regularizers": [{"kind": "dropout", "p": 0.3, "input_p": 0.1, "form": "classic"}],
    },
    "cnn": {
        "model": {"kind": "cnn", "channels": [4, 8], "norm": "batch", "pooling": "average", "hidden": [16]},
        "dataset": {"kind": "digits", "train_size": 200, "normalize": {"mean": 0.3, "std": 0.4}},
    },
    "fold": {
        "optimizer": {"kind": "momentum", "lr": 0.1},
        "dataset": {"kind": "digits", "train_size": 300, "imbalance": 4.0, "fold": {"index": 2, "of": 5}},
    },
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_anew(tmp_path_factory.mktemp("models") / "home") as one:
        yield one


@pytest.mark.parametrize("name", RUNS)
def test_predictions_and_calibration_have_the_metrics_that_the_engine_measured(served: Serving, name: str) -> None:
    run = served.client.runs.create(**{**SPEC, "epochs": 12, **RUNS[name]}).wait(scaled(60))
    assert run.best is not None
    history, dataset = run.history, RunSpec.of(run.spec).dataset
    rows = {"test": ("", len(ALL)), "val": ("", dataset.validation_rows), "train": ("_eval", dataset.training_rows)}
    for at, epoch in (("best", run.best["epoch"]), ("last", 12)):
        for split, (mark, count) in rows.items():
            predictions = run.predict(split=split, indices=range(count), at=at)
            assert predictions.epoch == epoch
            p, true = np.array(predictions.probabilities, float), np.array(predictions.true_labels)
            hits = np.array(predictions.labels) == true
            assert hits.mean() == pytest.approx(history[f"{split}.accuracy{mark}"][epoch - 1])
            loss = -np.log(p[range(count), true]).mean()
            assert loss == pytest.approx(history[f"{split}.loss{mark}"][epoch - 1], rel=1e-5)
            calibration = run.calibration(split, at=at)
            for metric, value in (("brier", calibration.brier), ("ece", calibration.ece)):
                assert value == pytest.approx(history[f"{split}.{metric}{mark}"][epoch - 1], rel=1e-5)
    sent, named = run.predict(DIGITS.test_x, at="last"), run.predict(split="test", indices=ALL, at="last")
    assert sent.probabilities == named.probabilities
    assert named.true_labels == DIGITS.test_y.tolist()


def test_fetched_files_are_the_model(served: Serving, tmp_path: Path) -> None:
    run = served.client.runs.create(seed=1, **SPEC).wait(scaled(60))
    onnx, tensors = (run.download(f"model.{kind}", tmp_path, at="last") for kind in ("onnx", "safetensors"))
    session = onnxruntime.InferenceSession(onnx.read_bytes(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input": DIGITS.test_x.astype(np.float32)})
    w = load_file(tensors)
    h = np.maximum(DIGITS.test_x.reshape(-1, 64) / np.float32(16) @ w["layers.0.weight"].T + w["layers.0.bias"], 0)
    np.testing.assert_allclose(logits, h @ w["layers.1.weight"].T + w["layers.1.bias"], rtol=1e-4, atol=1e-5)
    command = ("download", run.id, "curve.png", "--url", served.client.transport.url)
    done = warm.fitwell(*command, "--to", str(tmp_path), timeout=scaled(60), check=True)
    assert Path(done.stdout.strip()).read_bytes().startswith(b"\x89PNG")
    done = warm.fitwell(*command, "--to", str(tmp_path / "no" / "x"), timeout=scaled(60))
    assert (done.returncode != 0, "Cannot write" in done.stderr, "Traceback" in done.stderr) == (True, True, False)


def test_errors_name_the_wrong_row_and_the_missing_model(served: Serving) -> None:
    run = served.client.runs.create(seed=2, **LONG)
    with pytest.raises(fitwell.NotFound, match="when the run ends"):
        run.predict([[0] * 64], at="last")
    eventually(lambda: _predicts(run))
    with pytest.raises(fitwell.BadRequest) as refused:
        run.predict([[0] * 64, [0] * 63])
    assert refused.value.errors[0]["pointer"] == "/inputs/1"
    run.cancel()
    eventually(lambda: run.refresh().terminal, 12)
    assert run.predict([[0] * 64], at="last").epoch == run.refresh().progress.epoch, "a cancelled run has a model, too"


def _predicts(run: fitwell.Run) -> bool:
    with contextlib.suppress(fitwell.NotFound):
        return bool(run.predict([[0] * 64]).probabilities)
    return False


def test_download_continues_when_its_run_is_deleted(served: Serving) -> None:
    large = {**SPEC, "model": {"kind": "mlp", "hidden": [2500, 2500]}, "epochs": 1}
    run = served.client.runs.create(seed=3, **large).wait(scaled(90))
    url = f"{served.client.transport.url}/v1/runs/{run.id}/model"
    with (
        httpx2.stream("GET", f"{url}.safetensors") as weights,
        httpx2.stream("GET", f"{url}.onnx", timeout=scaled(30)) as onnx,
    ):
        parts = {weights: weights.iter_bytes(), onnx: onnx.iter_bytes()}
        begun = {answer: next(chunks) for answer, chunks in parts.items()}
        run.delete()
        assert not list((served.home / "checkpoints" / run.id).glob("*.safetensors"))
        for answer, chunks in parts.items():
            whole = begun[answer] + b"".join(chunks)
            assert answer.headers["etag"] == f'"{hashlib.sha256(whole).hexdigest()}"'
            assert len(whole) > 20_000_000
    assert httpx2.get(f"{url}.safetensors").json()["code"] == "run_not_found"


def test_api_loads_neither_torch_nor_the_predictor(served: Serving) -> None:
    run = served.client.runs.create(seed=4, **SPEC).wait(scaled(60))
    for name in ("curve.svg", "curve.png", "predictions.png", "model.onnx"):
        assert (
            httpx2.get(f"{served.client.transport.url}/v1/runs/{run.id}/{name}", timeout=scaled(30)).status_code == 200
        )
    service = served.part("service")
    assert service is not None
    (limited,) = [one for one in service.children() if "service.sandbox.predicting.process" in one.cmdline()]
    loaded, elsewhere = (" ".join(m.path for m in one.memory_maps()) for one in (service, limited))
    for library in ("onnxruntime", "matplotlib", "/onnx/", "safetensors"):
        assert (library in loaded, library in elsewhere) == (False, True), library
    assert "torch" not in loaded + elsewhere


def test_predictor_ends_when_the_service_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as served:
        run = served.client.runs.create(**SPEC).wait(scaled(60))
        run.predict([[0] * 64])
        service = served.part("service")
        assert service is not None
        (limited,) = [one for one in service.children() if "service.sandbox.predicting.process" in one.cmdline()]
        service.kill()
        eventually(lambda: not limited.is_running() or limited.status() == psutil.STATUS_ZOMBIE, 5)
