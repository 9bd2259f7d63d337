"""Typed tables: prepared by the training rows of each run, in any stack, without a look at other rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.sandbox.parsing.tables.columns import Column
from tests.typed_tables import category, date, number, stored
from tests.worker.engine.stacks import CPU, trained
from worker.engine.checkpoints import BadCheckpoint
from worker.engine.data import Data
from worker.spec.datasets.uploaded import Uploaded
from worker.spec.folds import Fold
from worker.spec.keys import stack_key
from worker.spec.rng import parted
from worker.spec.run import RunSpec
from worker.spec.tables.columns import Columns
from worker.spec.tables.fitted import Fitted

ROWS = 120
BODY = {"model": {"kind": "mlp", "hidden": [6]}, "optimizer": {"kind": "sgd", "lr": 0.05}, "epochs": 2}


def mixed(rows: int = ROWS, seed: int = 0, *, numeric_target: bool = False) -> list[Column]:
    """Columns of all types with missing values, and a target that depends on them."""
    rng = np.random.default_rng(seed)
    age, city = rng.normal(40, 9, rows), rng.integers(0, 4, rows)
    score = age / 9 + city + rng.standard_t(3, rows)
    age[rng.random(rows) < 0.1] = np.nan
    target = number("y", score) if numeric_target else category("y", np.where(score > 6, "high", "low").tolist())
    return [
        number("age", age),
        category("city", [None if code == 3 else f"city {code}" for code in city.tolist()]),
        category("member", np.where(rng.random(rows) < 0.5, "false", "true").tolist(), "boolean"),
        date("since", rng.integers(0, 9000, rows)),
        target,
    ]


@pytest.mark.parametrize(("numeric_target", "weight"), [(False, None), (True, None), (False, "w")])
def test_runs_of_several_splits_train_together_as_alone(
    numeric_target: bool, weight: str | None, tmp_path: Path
) -> None:
    columns = [number("w", 1 + np.arange(float(ROWS)) % 5), *mixed(numeric_target=numeric_target)]
    dataset = stored(tmp_path, columns, weight=weight).model_dump(mode="json")
    specs = [RunSpec.of({**BODY, "seed": 5, "dataset": {**dataset, "split_seed": split}}) for split in (3, 0, 3, 7)]
    assert len({stack_key(spec) for spec in specs}) == 1
    together = trained(specs, tmp_path)
    assert together == [trained([spec], tmp_path)[0] for spec in specs]
    assert together[0] == together[2] != together[1]


@pytest.mark.parametrize("fold", [None, Fold(index=1, of=4)])
def test_other_rows_never_change_a_bit_of_training(fold: Fold | None, tmp_path: Path) -> None:
    columns = mixed()
    dataset = stored(tmp_path, columns).held_out(fold) if fold else stored(tmp_path, columns)
    arrays = dataset.load(tmp_path)
    train, held_out = parted(dataset, arrays)
    assert arrays.tables is not None
    part, _ = arrays.tables
    changed = part.take(np.arange(len(part)))
    changed.numbers[held_out] = np.random.default_rng(1).normal(1e6, 1e6, changed.numbers[held_out].shape)
    changed.codes[held_out] = changed.codes[held_out][::-1]
    before, after = (dataset.fitted(arrays._replace(tables=(rows, rows)), train) for rows in (part, changed))
    assert before is not None
    assert after is not None
    assert before.as_json() == after.as_json()
    np.testing.assert_array_equal(before.transform(part)[train], after.transform(changed)[train])


def test_splits_of_a_large_table_do_not_multiply_its_rows() -> None:
    def key(rows: int, split_seed: int) -> str:
        dataset = _table(rows, split_seed=split_seed, validation_size=10).model_dump(mode="json")
        return stack_key(RunSpec.of({**BODY, "dataset": dataset}))

    assert key(1000, 0) == key(1000, 1)
    assert key(2**24, 0) != key(2**24, 1)


def test_preparation_survives_its_file(tmp_path: Path) -> None:
    options = Columns.model_validate_json(
        json.dumps(
            {
                "number": {"scale": "quantile", "log": True},
                "category": {"encode": "hash", "buckets": 3},
                "by_name": {"since": {"kind": "date", "parts": ["year", "day"], "cyclic": False}},
                "leave_out": ["member"],
            }
        )
    )
    data = Data(stored(tmp_path, mixed(), options), tmp_path, CPU)
    arrays = data.spec.load(tmp_path)
    assert arrays.tables is not None
    again = Fitted.of(json.loads(json.dumps(data.preparations[0]["preparation"])))
    assert again.features[:2] == ("age", "age is missing")
    np.testing.assert_array_equal(again.transform(arrays.tables[1]), data.raw_test.numpy())


def test_teacher_gets_rows_in_its_own_preparation(tmp_path: Path) -> None:
    dataset = stored(tmp_path, mixed())
    own, other = (Data(dataset.model_copy(update={"split_seed": seed}), tmp_path, CPU) for seed in (0, 1))
    assert torch.equal(own.raw_by(own.preparations[0]["preparation"]), own.raw)
    assert not torch.equal(own.raw_by(other.preparations[0]["preparation"]), own.raw)
    renamed = [replace(column, name=f"{column.name} 2") for column in mixed()]
    strange = Data(stored(tmp_path, renamed), tmp_path, CPU)
    with pytest.raises(BadCheckpoint, match="other columns"):
        own.raw_by(strange.preparations[0]["preparation"])


def test_unseen_and_rare_levels_use_no_untrained_weight(tmp_path: Path) -> None:
    texts = ["rare"] * 2 + ["a"] * 40 + ["b"] * 40 + ["new"] * 18
    columns = [category("c", texts), number("x", np.arange(100.0)), category("y", ["u", "v"] * 50)]
    plain = Data(stored(tmp_path, columns, order="time").model_copy(update={"validation_size": 0}), tmp_path, CPU)
    assert plain.preparations[0]["preparation"]["schema"]["columns"][0]["levels"] == ["a", "b", "rare"]
    assert not plain.raw_test[2:, :3].any()  # "new" is in test rows only
    options = Columns.model_validate_json('{"category": {"min_rows": 5}}')
    grouped = Data(
        stored(tmp_path, columns, options, order="time").model_copy(update={"validation_size": 0}), tmp_path, CPU
    )
    assert (grouped.raw_test[2:, 3] == 1).all()


def test_date_and_large_number_keep_their_information(tmp_path: Path) -> None:
    """Seconds of 2020 differ in float32 by 128 s only."""
    seconds = 1.6e9 + np.arange(100.0)
    data = Data(stored(tmp_path, [number("at", seconds), number("y", seconds % 7)], task="regression"), tmp_path, CPU)
    assert len(set(data.raw[:, 0].tolist())) == len(data.raw)


@given(st.integers(0, 2**53 - 1), st.sampled_from([None, *(Fold(index=i, of=4) for i in range(4))]))
@settings(max_examples=30, deadline=None)
def test_group_is_never_on_both_sides(split_seed: int, fold: Fold | None) -> None:
    groups = np.repeat(np.arange(30), np.random.default_rng(0).integers(1, 9, 30))
    dataset = _grouped(groups, split_seed, fold)
    train, held_out = parted(dataset, _arrays(groups))
    assert not set(groups[train]) & set(groups[held_out])
    assert (len(train), len(held_out)) == (dataset.training_rows, dataset.validation_rows)


def test_every_row_of_a_group_validates_in_one_fold() -> None:
    groups = np.repeat(np.arange(30), 4)
    held_out = [parted(_grouped(groups, 0, Fold(index=i, of=5)), _arrays(groups))[1] for i in range(5)]
    assert sorted(np.concatenate(held_out).tolist()) == list(range(120))


@given(st.integers(0, 2**53 - 1), st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_stratified_validation_takes_each_class_by_its_share(split_seed: int, count: int) -> None:
    labels = np.repeat([0, 1, 2], [60, 39, 1])
    dataset = _table(100, validation_size=count, split_seed=split_seed)
    train, held_out = parted(dataset, _arrays(labels, labels))
    assert (len(train), len(held_out)) == (100 - count, count)
    assert set(labels[train]) == {0, 1, 2}
    shares = np.bincount(labels[held_out], minlength=3) - count * np.array([59, 38, 0]) / 97
    assert (np.abs(shares) < 1).all()


def test_rows_whose_target_is_not_yet_known_do_not_train(tmp_path: Path) -> None:
    columns = [number("y", np.arange(60.0) % 11)]
    dataset = stored(tmp_path, columns, order="time", lags=2, horizon=3, task="regression")
    train, held_out = parted(dataset, dataset.load(tmp_path))
    assert held_out.min() - train.max() == 3
    data = Data(dataset, tmp_path, CPU)
    y, known = data.targets[0].validation, data.previous_y["val"]
    assert torch.equal(y[:-3], known[3:])


def _table(rows: int, **fields: Any) -> Uploaded:
    content = {"task": "classification", "shape": [1], "classes": ["a", "b", "c"], "rows_train": rows, "rows_test": 1}
    body = {"id": "dataset_" + 64 * "0", "content": {**content, "layout": 2, **fields.pop("content", {})}, **fields}
    return Uploaded.model_validate_json(json.dumps(body))


def _grouped(groups: Any, split_seed: int, fold: Fold | None) -> Uploaded:
    content = {"largest_group": int(np.bincount(groups).max())}
    dataset = _table(len(groups), split_seed=split_seed, validation_size=20, content=content)
    return dataset if fold is None else dataset.held_out(fold)


def _arrays(groups: Any, labels: Any = None) -> Any:
    from worker.spec.families.dataset import Arrays

    nothing = np.empty((len(groups), 0), np.float32)
    y = np.zeros(len(groups), np.int64) if labels is None else labels
    return Arrays(nothing, y, nothing[:1], y[:1], train_groups=None if labels is not None else groups)
