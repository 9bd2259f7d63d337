"""Fields that a model without training refuses, and that a trained model requires."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.laws.strategies import parsed
from worker.spec.optimizers import KINDS as OPTIMIZERS

KNN: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 100, "validation_size": 60},
    "model": {"kind": "knn"},
    "epochs": 20,
}


def refused(**changes: Any) -> dict[tuple[str | int, ...], str]:
    return {place: objection.message for place, objection in parsed({**KNN, **changes}).objections()}


def test_untrained_model_needs_no_optimizer_and_has_no_steps() -> None:
    spec = parsed(KNN)
    assert not list(spec.objections())
    assert (spec.optimizer, spec.steps_per_epoch, spec.parameters) == (None, 0, 0)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("optimizer", {"kind": "sgd", "lr": 0.1}),
        ("schedule", {"kind": "cosine"}),
        ("batch_size", 32),
        ("batch_size", "full"),
        ("precision", "bfloat16"),
        ("regularizers", [{"kind": "l2", "strength": 0.1}]),
        ("warm_start", {"run_id": "run_01J00000000000000000000000"}),
    ],
)
def test_settings_of_training_are_refused_with_their_field(place: str, value: Any) -> None:
    assert refused(**{place: value})[(place,)] == f"'knn' is not trained, so leave {place} out."


def test_untrained_model_can_stop_on_a_metric_but_not_after_steps() -> None:
    assert not refused(stop=[{"kind": "early_stopping", "patience": 3}])
    steps = {"kind": "max_steps", "steps": 5}
    assert list(refused(stop=[{"kind": "early_stopping"}, steps])) == [("stop", 1)]


def test_neighbors_are_at_most_as_many_as_rows() -> None:
    assert not refused(epochs=100)
    assert refused(epochs=101) == {("epochs",): "'knn' has at most 100 epochs on 100 rows."}


def test_field_k_is_refused_in_favor_of_epochs() -> None:
    with pytest.raises(ValidationError, match="every k from 1 to its epochs"):
        parsed({**KNN, "model": {"kind": "knn", "k": 5}})


def test_trained_model_requires_an_optimizer() -> None:
    (result,) = parsed({**KNN, "model": {"kind": "linear"}}).objections()
    assert result[0] == ("optimizer",)
    assert result[1].allowed == list(OPTIMIZERS)
