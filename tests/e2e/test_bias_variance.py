"""Bias and variance of trained models: the same losses as the engine records, in the client and on the command line."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from fitwell.bias_variance import StudyBiasVariance
from fitwell.cli import app
from fitwell.exit_codes import Exit
from fitwell.study import Study
from tests.patience import scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
REPLICATES: dict[str, Any] = {"n": 6, "vary": ["seed", "split"]}
DIGITS = {"kind": "digits", "train_size": 120, "validation_size": 0, "label_noise": 0.2}
KS = (1, 5, 40)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("bias_variance") / "home") as one:
        yield one


@pytest.fixture(scope="module")
def neighbors(served: Serving) -> Study:
    """Nearest neighbors for several k; every replicate has training rows of its own."""
    return study(served, {"dataset": DIGITS, "model": {"kind": "knn"}, "epochs": 1}, {f"k = {k}": k for k in KS})


def study(served: Serving, base: dict[str, Any], epochs: dict[str, int], **fields: Any) -> Study:
    arms: dict[str, Any] = {arm: {"epochs": count} for arm, count in epochs.items()}
    design: dict[str, Any] = {} if "seeds" in fields else {"replicates": REPLICATES}
    base = {"epochs": 1, **base}
    return served.client.studies.create(base=base, arms=arms, at="last", **design, **fields).wait(scaled(120))


def recorded(served: Serving, of: Study, arm: str, metric: str) -> list[float]:
    """Return a metric of every run of an arm after its last epoch, as the engine measured it."""
    runs = [run for run in served.client.runs.list(study_id=of.id) if run.arm == arm]
    values = [value for run in runs if (value := (run.last or {}).get(metric)) is not None]
    assert len(values) == len(runs) > 1
    return values


def check_losses(served: Serving, of: Study, result: StudyBiasVariance) -> None:
    """Compare the mean losses with those of the runs' histories, and with the sums of their parts."""
    metrics = {"cross_entropy": "test.loss", "zero_one": "test.error", "brier": "test.brier"}
    assert result.pending == 0
    for arm in result.arms:
        assert arm.runs == REPLICATES["n"]
        for name, metric in metrics.items():
            parts, mean = arm.losses[name], statistics.fmean(recorded(served, of, arm.arm, metric))
            assert parts.loss == pytest.approx(mean, rel=1e-4), (arm.arm, name)
            assert parts.bias + parts.net_variance == pytest.approx(parts.loss, rel=1e-12)


def test_losses_of_nearest_neighbors_are_those_of_the_engine(served: Serving, neighbors: Study) -> None:
    result = neighbors.bias_variance()
    check_losses(served, neighbors, result)
    one, _, forty = [arm.losses["brier"] for arm in result.arms]
    assert one.variance > 2 * forty.variance
    assert one.bias < forty.bias


def test_neighbors_in_a_typed_table_are_those_of_its_features(served: Serving) -> None:
    table = {"kind": "penguins", "train_size": 80, "validation_size": 0}
    trained = study(served, {"dataset": table, "model": {"kind": "knn"}}, {"k = 1": 1, "k = 7": 7})
    check_losses(served, trained, trained.bias_variance())


def test_losses_of_a_network_are_those_of_the_engine(served: Serving) -> None:
    base = {"dataset": DIGITS, "model": {"kind": "mlp", "hidden": [16]}, "optimizer": {"kind": "momentum", "lr": 0.05}}
    trained = study(served, {**base, "batch_size": 20}, {"short": 2, "long": 20})
    check_losses(served, trained, trained.bias_variance())


def test_squared_error_of_a_regression_is_that_of_the_engine(served: Serving) -> None:
    data = {"kind": "linear", "data_seed": 1, "train_size": 40, "validation_size": 0}
    base = {"dataset": data, "model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.05}}
    trained = study(served, base, {"short": 1, "long": 30})
    for arm in trained.bias_variance().arms:
        expected = statistics.fmean(rmse**2 for rmse in recorded(served, trained, arm.arm, "test.rmse"))
        assert arm.losses["squared_error"].loss == pytest.approx(expected, rel=1e-4)


def test_seeds_of_nearest_neighbors_differ_in_nothing(served: Serving) -> None:
    base = {"dataset": DIGITS, "model": {"kind": "knn"}}
    equal = study(served, base, {"k = 3": 3}, seeds=3)
    for parts in equal.bias_variance().arms[0].losses.values():
        assert parts.variance == pytest.approx(0, abs=1e-12)
        assert parts.bias == pytest.approx(parts.loss)


def test_command_prints_a_table_or_json(served: Serving, neighbors: Study) -> None:
    url = served.client.transport.url
    table = CliRunner().invoke(app, ["bias-variance", neighbors.id, "--arm", "k = 5", "--url", url])
    assert table.exit_code == Exit.OK, table.output
    assert "Brier score" in table.stdout
    assert "k = 40" not in table.stdout
    printed = CliRunner().invoke(app, ["bias-variance", neighbors.id, "--json", "--url", url])
    assert json.loads(printed.stdout) == json.loads(neighbors.bias_variance().model_dump_json())
