"""Runs that train on some of the classes: alone, in stacks, on threads, after a resume, and with all classes named."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.laws.strategies import parsed
from tests.laws.test_stack import laws_1_to_3
from tests.laws.training import data_of, data_of_stack, train
from worker.spec.keys import stack_key
from worker.spec.run import RunSpec

OMITTED = [0, 1, 2, 4, 5, 6, 7, 8, 9]
TRANSFER = {"kind": "digits", "train_size": 33, "validation_size": 30, "train_classes": OMITTED}


def subset_run(seed: int, dataset: dict[str, Any] | None = None, **changes: Any) -> RunSpec:
    own = {"kind": "digits", "validation_size": 30, "train_classes": [7, 8], "split_seed": seed % 3, **(dataset or {})}
    frame = {
        "model": {"kind": "mlp", "hidden": [24]},
        "optimizer": {"kind": "momentum", "lr": 0.05},
        "batch_size": 32,
        "epochs": 3,
        "seed": seed,
    }
    return parsed({**frame, "dataset": own, **changes})


def distilled(transfer: dict[str, Any] | None) -> dict[str, Any]:
    teacher = {"run_id": f"run_{'0' * 26}", "sha256": "a" * 64, "network": {"model": {"kind": "linear"}}}
    part = {"kind": "distillation", "teachers": [teacher]}
    return part if transfer is None else {**part, "transfer": {"dataset": transfer}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "changes"),
    [
        ({}, {}),
        ({"train_classes": OMITTED, "fold": {"index": 1, "of": 5}, "validation_size": 0, "label_noise": 0.2}, {}),
        ({"oversample": True, "train_classes": [0, 3, 5]}, {}),
        ({"train_classes": OMITTED, "train_size": 70}, {"regularizers": [distilled(None)]}),
        ({"train_classes": [7, 8], "train_size": 70}, {"regularizers": [distilled(TRANSFER)]}),
    ],
)
def test_laws_1_to_3_hold_for_runs_on_some_classes(dataset: dict[str, Any], changes: dict[str, Any]) -> None:
    specs = [subset_run(seed, dataset, **changes) for seed in range(4)]
    assert not [objection for spec in specs for objection in spec.objections() if "transfer" not in objection[0]]
    assert len({stack_key(spec) for spec in specs}) == 1
    laws_1_to_3(specs, (0, 3), 1)


@pytest.mark.parametrize("dataset", [{}, {"label_noise": 0.3}, {"oversample": True}, {"fold": {"index": 0, "of": 5}}])
def test_run_on_all_classes_by_name_has_the_bits_of_a_run_without_a_selection(dataset: dict[str, Any]) -> None:
    held_out = {"validation_size": 0} if "fold" in dataset else {}
    named, plain = (
        subset_run(1, {**dataset, **held_out, "train_classes": classes}) for classes in (list("9876543210"), None)
    )
    assert train([named]) == train([plain])


def test_only_rows_of_the_selected_classes_train_and_all_classes_are_evaluated() -> None:
    specs = [subset_run(seed, {"label_noise": 0.4}) for seed in range(3)]
    plain = [subset_run(seed, {"train_classes": None}) for seed in range(3)]
    data, others = data_of_stack(specs), data_of_stack(plain)
    assert set(data.y.tolist()) == {7, 8}
    assert torch.equal(data.validation.y, others.validation.y)
    assert torch.equal(data.test.y, others.test.y)
    assert len(data) == specs[0].dataset.training_rows
    assert data_of(specs[0]).spec.outputs == 10
