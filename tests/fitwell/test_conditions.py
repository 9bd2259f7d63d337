"""Conditions of --fail-if: their syntax, their names and what meets them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from fitwell.cli import app
from fitwell.client import Client
from fitwell.conditions import Condition, check_conditions
from fitwell.metric_names import NO_PENALTIES, PENALTIES, TEACHERS, condition_names, metric_names
from fitwell.run import Run
from fitwell.spec_files import SpecFileError
from tests.fitwell.samples import RUN as RUN_JSON
from worker.spec.families.hooks import defines
from worker.spec.families.regularizer import adds_penalty
from worker.spec.regularizers import KINDS

RUN = Run.model_validate(
    {
        **RUN_JSON,
        "last": {"val.loss": 0.4, "test.accuracy": 0.9, "train.loss": None},
        "best": {"epoch": 3, "metric": "val.loss", "value": 0.3, "selected_on": "val", "optimistic": False},
    }
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("val.loss > 0.4", False), ("val.loss >= 0.4", True), ("val.loss>.3", True), ("last.val.loss < 4e-1", False),
        ("best.value > 0.29", True), ("best.val.loss < 0.3", False), ("best.epoch == 3", True),
        ("test.accuracy < 0.9", False), ("test.accuracy != 0.5", True),
    ],
)  # fmt: skip
def test_condition_compares_a_metric_with_a_number(text: str, met: bool) -> None:
    assert (Condition.parse(text).violation(RUN) is not None) == met


@pytest.mark.parametrize("text", ["train.loss < 1e9", "train.loss > 1e9"])
def test_nonfinite_metric_meets_every_condition(text: str) -> None:
    assert "not a finite number" in (Condition.parse(text).violation(RUN) or "")


@pytest.mark.parametrize(
    "text", ["", "val.loss", "val.loss > much", "0.4 < val.loss", "val.loss => 1", "a > 1; b", "x > 1.2.3"]
)
def test_malformed_condition_is_refused_before_the_spec_is_read(text: str) -> None:
    with pytest.raises(SpecFileError, match="such as"):
        Condition.parse(text)
    result = CliRunner().invoke(app, ["submit", "/nowhere.yaml", "--fail-if", text])
    assert isinstance(result.exception, SpecFileError)
    assert "--fail-if" in str(result.exception)


SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "validation_size": 100}, "model": {"kind": "mlp"},
    "regularizers": [{"kind": "dropout"}, {"kind": "l2"}], "evaluate": {"train": "subset", "test": "every_epoch"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("loss", "val.loss"), ("val.los", "val.loss"), ("val.acuracy", "val.accuracy"), ("val_loss", "val.loss"),
        ("penalty.dropout", "penalty.l2"), ("test.rmse", "test.brier"), ("best.test.loss", "last.test.loss"),
        ("best.vaule", "best.value"),
    ],
)  # fmt: skip
def test_unknown_metric_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    names = condition_names(metric_names(SPEC, "classification"))
    with pytest.raises(SpecFileError, match=f"--fail-if '{name} > 1'.*'{name}'.* Did you mean '{nearest}'"):
        Condition.parse(f"{name} > 1").check_name(names)
    Condition.parse(f"{nearest} > 1").check_name(names)


def test_metric_without_a_near_name_is_refused_with_all_names() -> None:
    with pytest.raises(SpecFileError, match=r"Its metrics are best\.epoch, .*train\.loss, .*val\.loss"):
        Condition.parse("qqq > 1").check_name(condition_names(metric_names(SPEC, "classification")))


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"dataset": {"kind": "digits", "validation_size": 0}}, "val.loss"),
        ({"dataset": {"kind": "digits", "validation_size": 0}}, "best.val.loss"),
        ({"evaluate": {"train": "never", "test": "every_epoch"}}, "train.loss_eval"),
        ({"evaluate": {"train": "never", "test": "never"}}, "last.test.loss"),
        ({"model": {"kind": "knn"}}, "lr"),
    ],
)
def test_metric_that_the_spec_switches_off_is_refused(changes: dict[str, Any], missing: str) -> None:
    assert missing in condition_names(metric_names(SPEC, "classification")) | {"lr"}
    assert missing not in condition_names(metric_names({**SPEC, **changes}, "classification"))


def test_best_epoch_is_selected_on_test_loss_without_validation_rows() -> None:
    names = condition_names(metric_names({**SPEC, "dataset": {"kind": "digits", "validation_size": 0}}, ""))
    assert {"best.value", "best.epoch", "best.test.loss"} <= names


def test_run_without_held_out_losses_has_no_best_epoch() -> None:
    unjudged = {"dataset": {"kind": "digits", "validation_size": 0}, "evaluate": {"test": "never"}}
    assert not [name for name in condition_names(metric_names({**SPEC, **unjudged}, "")) if name.startswith("best.")]


def test_kinds_that_the_client_knows_are_classified_as_in_the_engine() -> None:
    """A new regularizer needs no entry in the client: kinds in neither set may record a penalty or not."""
    penalties = {kind for kind, part in KINDS.items() if adds_penalty(part.model_construct(kind=kind))}
    assert penalties >= PENALTIES
    assert set(KINDS) - penalties >= NO_PENALTIES
    assert {kind for kind, part in KINDS.items() if defines(part, "teach")} >= TEACHERS


class FakeServer:
    """A client whose server validates every body as ``spec`` and has datasets of one task."""

    def __init__(self, spec: dict[str, Any], task: str) -> None:
        self.runs = self.datasets = self
        self.validated: list[dict[str, Any]] = []
        self.datasets_read: list[str] = []
        self._spec, self._task = spec, task

    def validate(self, **body: Any) -> SimpleNamespace:
        self.validated.append(body)
        return SimpleNamespace(spec=self._spec)

    def get(self, dataset: str) -> SimpleNamespace:
        self.datasets_read.append(dataset)
        return SimpleNamespace(task=self._task)


def check(server: FakeServer, *texts: str) -> None:
    check_conditions(cast("Client", server), [Condition.parse(text) for text in texts], {"epochs": 3})


def test_conditions_are_checked_against_the_validated_spec_and_its_dataset() -> None:
    server = FakeServer({**SPEC, "dataset": {"kind": "uploaded", "id": "data_1", "validation_size": 5}}, "regression")
    check(server, "val.rmse > 1", "best.value > 1")
    assert (server.validated, server.datasets_read) == ([{"epochs": 3}], ["data_1"])
    with pytest.raises(SpecFileError, match=r"Did you mean"):
        check(server, "val.rmse > 1", "val.accuracy < 1")


def test_run_without_conditions_is_not_validated() -> None:
    server = FakeServer(SPEC, "classification")
    check(server)
    assert server.validated == []


def test_unknown_regularizer_may_record_a_penalty_and_a_loss() -> None:
    names = metric_names({**SPEC, "regularizers": [{"kind": "of_a_newer_server"}]}, "classification")
    assert {"penalty.of_a_newer_server", "of_a_newer_server.loss"} <= names
