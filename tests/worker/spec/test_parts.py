"""The contract that every part passes, found in the folders and listed nowhere."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError

from tests.conftest import spec
from tests.laws.strategies import example as body
from tests.laws.strategies import images_for, parsed
from tests.laws.training import train
from worker.spec.families.dataset import Dataset
from worker.spec.families.hooks import defines
from worker.spec.families.layer import Layer
from worker.spec.families.loss import Loss
from worker.spec.families.model import Model
from worker.spec.families.optimizer import Optimizer
from worker.spec.families.preparation import Preparation
from worker.spec.families.regularizer import HOOKS, Regularizer
from worker.spec.families.schedule import Schedule
from worker.spec.families.stop import Stop
from worker.spec.keys import stack_key
from worker.spec.part import Part, Stacked, kind_of, parts_in

FOLDERS: dict[str, type[Part]] = {
    "datasets": Dataset,
    "layers": Layer,
    "models": Model,
    "optimizers": Optimizer,
    "regularizers": Regularizer,
    "schedules": Schedule,
    "losses": Loss,
    "stops": Stop,
    "preparations": Preparation,
}
PARTS = [
    pytest.param(part, id=f"{folder}/{kind}")
    for folder, family in FOLDERS.items()
    for kind, part in parts_in(f"worker.spec.{folder}", family).items()
]
REGULARIZERS = [p for p in PARTS if issubclass(p.values[0], Regularizer)]  # type: ignore[arg-type]
OPTIMIZERS = [p for p in PARTS if issubclass(p.values[0], Optimizer)]  # type: ignore[arg-type]

ROTATING = ("regularizers/random_choice", "regularizers/rotation")
TRAINED = [
    pytest.param(*p.values, id=str(p.id), marks=pytest.mark.slow) if p.id in ROTATING else p for p in REGULARIZERS
]
"""Rotation imports torchvision, which takes seconds."""


def example(part: type[Part]) -> Any:
    """The part with its defaults; a field that has none brings an example."""
    return part.model_validate_json(json.dumps(body(part)))


@pytest.mark.parametrize("part", PARTS)
def test_part_is_documented_with_equation_and_reference(part: type[Part]) -> None:
    module = importlib.import_module(part.__module__)
    assert part.__module__.rpartition(".")[2] == kind_of(part), "the file bears the kind's name"
    assert part.__doc__
    assert part.reference
    assert "Reference:" in (module.__doc__ or "")
    assert part.equation or issubclass(part, Dataset)
    for name, field in part.model_fields.items():
        described = field.description or name in {"kind", "activation", "split_seed", "train_size", "normalize"}
        assert described, f"{name} needs a description"


@pytest.mark.parametrize("part", PARTS)
def test_part_is_frozen_strict_and_refuses_unknown_fields(part: type[Part]) -> None:
    one = example(part)
    with pytest.raises(ValidationError):
        one.kind = "other"
    with pytest.raises(ValidationError, match="extra_forbidden"):
        part.model_validate_json(json.dumps({**one.model_dump(mode="json"), "surprise": 1}))
    for name, field in part.model_fields.items():
        if field.annotation in (float, int):
            for wrong in ('"1"', "NaN", "true"):
                text = json.dumps({**one.model_dump(mode="json"), name: "@"}).replace('"@"', wrong)
                with pytest.raises(ValidationError):
                    part.model_validate_json(text)


@pytest.mark.parametrize("part", PARTS)
def test_part_survives_a_round_trip(part: type[Part]) -> None:
    one = example(part)
    assert part.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize("part", REGULARIZERS)
def test_regularizer_has_a_hook_and_valid_neutral_values(part: type[Regularizer]) -> None:
    assert any(defines(part, name) for name in HOOKS)
    assert defines(part, "pixel_maps") == defines(part, "choose_map")
    if part.neutral is not None:
        assert set(part.neutral) <= part.per_run()
        part.model_validate_json(json.dumps({**example(part).model_dump(mode="json"), **part.neutral}))


@pytest.mark.slow  # rotation imports torchvision
@pytest.mark.parametrize("part", [p.values[0] for p in REGULARIZERS if defines(p.values[0], "pixel_maps")])  # type: ignore[arg-type]
def test_bytes_of_index_maps_are_known_in_advance(part: type[Regularizer]) -> None:
    one = example(part)
    maps = part.pixel_maps(Stacked([one], device=torch.device("cpu"), dtype=torch.float32), 4, 6)
    assert one.table_bytes((3, 4, 6)) == maps.nbytes


@pytest.mark.parametrize("part", TRAINED)
def test_regularizer_trains_and_changes_the_result(part: type[Regularizer]) -> None:
    body = {
        "dataset": images_for(str(kind_of(part)), 64),
        "model": {"kind": "mlp", "hidden": [16], "init": "he_normal"},
        "optimizer": {"kind": "sgd", "lr": 0.05},
        "epochs": 2,
    }
    one = example(part).model_dump(mode="json")
    (plain,) = train([parsed(body)]).values()
    (changed,) = train([parsed({**body, "regularizers": [one]})]).values()
    assert plain[-1][2] != changed[-1][2]


@pytest.mark.slow
@pytest.mark.parametrize("part", OPTIMIZERS)
def test_optimizer_learns_the_digits(part: type[Optimizer]) -> None:
    optimizer = example(part)
    settings = {
        "dataset": {"kind": "digits", "train_size": 500, "validation_size": 100},
        "model": {"kind": "mlp", "hidden": [64]},
        "optimizer": optimizer.model_dump(mode="json"),
        "epochs": 25,
        "batch_size": "full" if optimizer.needs_all_rows else 16,
        "evaluate": {"train": "never", "every": 25},
    }
    (epochs,) = train([parsed(settings)]).values()
    assert epochs[-1][1]["test.accuracy"] > 0.88
    assert epochs[-1][1]["train.loss"] < epochs[0][1]["train.loss"] / 3


@pytest.mark.slow
def test_service_starts_without_slow_imports() -> None:
    slow = "{'torch', 'scipy', 'alembic', 'pyarrow', 'onnxruntime', 'matplotlib'}"
    code = f"import sys, worker.spec.run, worker.ports, service.app; sys.exit(str({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == "set()"


def test_stack_key_ignores_per_run_values_and_nothing_else() -> None:
    key = stack_key(spec())
    same: list[dict[str, Any]] = [
        {"seed": 5},
        {"epochs": 9},
        {"optimizer": {"kind": "sgd", "lr": 3.0}},
        {"regularizers": [{"kind": "dropout"}, {"kind": "l2", "strength": 0.1}]},
        {"schedule": {"kind": "cosine"}},
        {"stop": [{"kind": "max_steps", "steps": 3}]},
    ]
    other: list[dict[str, Any]] = [
        {"batch_size": 31},
        {"model": {"kind": "mlp", "hidden": [16, 16]}},
        {"optimizer": {"kind": "momentum", "lr": 0.1}},
        {"regularizers": [{"kind": "rotation", "degrees": 5}]},
        {"dataset": {"kind": "digits", "train_size": 99}},
        {"evaluate": {"test": "never"}},
        {"device": "cpu"},
    ]
    assert {stack_key(spec(**changes)) for changes in same} == {key}
    assert len({key, *(stack_key(spec(**changes)) for changes in other)}) == len(other) + 1


def test_every_literal_kind_is_lower_snake_case() -> None:
    for part in PARTS:
        (kind,) = get_args(part.values[0].model_fields["kind"].annotation)  # type: ignore[union-attr]
        assert re.fullmatch(r"[a-z][a-z0-9_]*", kind)
