"""Subsets of the classes: rows equal those that numpy selects, and every split leaves as many as the spec says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.conftest import spec
from worker.spec.datasets.digits import Digits
from worker.spec.datasets.uploaded import Content, Uploaded
from worker.spec.families.dataset import Arrays, Dataset
from worker.spec.folds import Fold
from worker.spec.keys import reuse_key, spec_hash, stack_key
from worker.spec.rng import noisy, parted, permutation
from worker.spec.run import RunSpec

HOME = Path("/nowhere")
Rows = np.ndarray[Any, np.dtype[np.int64]]


def dataset_of(kind: str = "digits", **fields: Any) -> Dataset:
    return spec(dataset={"kind": kind, **fields}).dataset


@pytest.mark.parametrize("kind", ["digits", "mnist1d", "penguins", "modular_arithmetic"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"split_seed": 5, "train_size": 20},
        {"validation_size": 0},
        {"fold": {"index": 2, "of": 5}, "split_seed": 1},
        {"oversample": True, "label_noise": 0.2},
    ],
)
def test_training_rows_are_those_that_numpy_selects(kind: str, fields: dict[str, Any]) -> None:
    plain, selecting = (dataset_of(kind, **fields, train_classes=classes) for classes in (None, [2, 0]))
    arrays = plain.load(HOME)
    candidates, held_out = parted(plain.model_copy(update={"train_size": None}), arrays)
    train, same = parted(selecting, arrays)
    expected = candidates[(arrays.train_y[candidates] == 0) | (arrays.train_y[candidates] == 2)]
    assert np.array_equal(train, expected[: selecting.training_rows])
    assert np.array_equal(same, held_out)
    assert (len(train), len(held_out)) == (selecting.training_rows, selecting.validation_rows)
    if fields.get("train_size"):
        assert len(train) == fields["train_size"]
    elif not selecting.validation_rows:
        assert len(train) == len(expected)
    assert selecting.rows == plain.rows
    assert selecting.outputs == plain.outputs


def test_selection_of_almost_all_rows_is_nearly_complete() -> None:
    """Of 1,036 rows that a split leaves on average, 1,007 surely train."""
    omitted = dataset_of(train_classes=[0, 1, 2, 4, 5, 6, 7, 8, 9])
    arrays = omitted.load(HOME)
    left = [int((arrays.train_y[parted(dataset_of(split_seed=seed), arrays)[0]] != 3).sum()) for seed in range(200)]
    assert omitted.training_rows <= min(left)
    assert omitted.training_rows >= 0.96 * np.mean(left)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Uploaded, Arrays]:
    """An uploaded table with classes of any size, split in any way, and a selection of its classes."""
    counts = draw(st.lists(st.integers(0, 40), min_size=2, max_size=6).filter(lambda counts: sum(counts) > 10))
    rows, kind = sum(counts), draw(st.sampled_from(["random", "stratified", "fold", "grouped", "time"]))
    labels = np.repeat(np.arange(len(counts)), counts)[permutation(draw(st.integers(0, 99)), "labels", 0, rows)]
    groups = permutation(0, "groups of rows", 0, rows) // 3
    content = {
        "task": "classification",
        "shape": [1],
        "classes": [f"class {i}" for i in range(len(counts))],
        "rows_train": rows,
        "rows_test": 1,
        "layout": 2,
        "rows_of_classes": counts,
        **({"largest_group": 3} if kind == "grouped" else {}),
        **({"order": "time"} if kind == "time" else {}),
    }
    selected = draw(st.sets(st.integers(0, len(counts) - 1), min_size=1).map(sorted))
    body = {
        "id": "dataset_" + 64 * "0",
        "content": content,
        "train_classes": selected,
        "stratify": kind == "stratified",
        "validation_size": draw(st.integers(0, rows - 1)),
        "split_seed": draw(st.integers(0, 2**53 - 1)),
    }
    dataset = Uploaded.model_validate_json(json.dumps(body))
    if kind == "fold":
        dataset = dataset.held_out(Fold(index=draw(st.integers(0, 4)), of=5))
    nothing = np.empty((rows, 0), np.float32)
    arrays = Arrays(nothing, labels, nothing[:1], labels[:1], train_groups=groups if kind == "grouped" else None)
    return dataset, arrays


@given(tables())
def test_every_split_leaves_the_number_of_rows_of_the_spec(drawn: tuple[Uploaded, Arrays]) -> None:
    dataset, arrays = drawn
    assume(dataset.candidate_rows > 0)
    train, held_out = parted(dataset, arrays)
    plain = dataset.model_copy(update={"train_classes": None})
    candidates, same = parted(plain, arrays)
    if (groups := arrays.train_groups) is not None:
        candidates = np.flatnonzero(~np.isin(groups, groups[held_out]))
    labels = dataset.selected_labels or ()
    left = int(np.isin(arrays.train_y[candidates], labels).sum())
    assert np.array_equal(held_out, same)
    assert len(train) == dataset.training_rows <= left
    if dataset.stratified and dataset.fold is None:
        assert dataset.training_rows == left
    if dataset.fold is not None:
        splits = [parted(plain.held_out(Fold(index=i, of=5)), arrays)[0] for i in range(5)]
        rows = [int(np.isin(arrays.train_y[split], labels).sum()) for split in splits]
        every = len(labels) == len(dataset.classes)
        assert dataset.training_rows == (left if every else min(rows))


@given(st.integers(2, 3000), st.data())
def test_random_split_with_fewer_rows_than_promised_is_as_good_as_impossible(rows: int, data: st.DataObject) -> None:
    own, held_out = data.draw(st.integers(1, rows - 1)), data.draw(st.integers(1, rows - 1))
    content = {
        "task": "classification", "shape": [1], "classes": ["a", "b"], "rows_train": rows, "rows_test": 1,
        "rows_of_classes": [own, rows - own],
    }  # fmt: skip
    body = {"id": "dataset_" + 64 * "0", "content": content, "train_classes": [0], "validation_size": held_out}
    dataset = Uploaded.model_validate_json(json.dumps(body))
    validating = scipy.stats.hypergeom(rows, own, held_out)
    assert validating.sf(own - dataset.training_rows) <= 1.01e-9


def test_label_noise_stays_within_the_selected_classes() -> None:
    dataset = dataset_of(train_classes=[1, 4, 9], label_noise=0.5, validation_size=0)
    arrays = dataset.load(HOME)
    train, _ = parted(dataset, arrays)
    labels = arrays.train_y[train]
    replaced = noisy(labels, dataset)
    assert set(replaced.tolist()) == {1, 4, 9}
    assert (replaced != labels).sum() == round(0.5 * len(labels))


def test_names_and_labels_in_any_order_are_the_same_selection() -> None:
    specs = [spec(dataset={"kind": "penguins", "train_classes": one}) for one in (["Gentoo", "Adelie"], [0, "Gentoo"])]
    specs.append(spec(dataset={"kind": "penguins", "train_classes": [2, 0]}))
    assert {one.dataset.train_classes for one in specs} == {(0, 2)}
    for key in (spec_hash, reuse_key, stack_key):
        assert len({key(one) for one in specs}) == 1
        assert key(specs[0]) != key(spec(dataset={"kind": "penguins"}))
    assert RunSpec.model_validate_json(specs[0].model_dump_json()) == specs[0]
    assert "train_classes" not in spec(dataset={"kind": "penguins"}).model_dump(mode="json")["dataset"]


def test_names_of_an_upload_become_labels_once_its_content_is_known() -> None:
    table = Uploaded.model_validate_json(
        json.dumps({"id": "dataset_" + 64 * "0", "train_classes": ["b", "a"], "validation_size": 0})
    )
    facts = {"task": "classification", "shape": [1], "classes": ["a", "b", "c"], "rows_train": 9, "rows_test": 1}
    content = Content.model_validate_json(json.dumps({**facts, "rows_of_classes": [4, 3, 2]}))
    resolved = table.resolved(content)
    assert resolved.train_classes == (0, 1)
    assert resolved.training_rows == 7


@pytest.mark.parametrize(
    ("dataset", "place", "message"),
    [
        ({"train_classes": [10]}, "train_classes", "Class 10 does not exist. Use names, '0', '1',"),
        ({"train_classes": [1, "ten"]}, "train_classes", "Class 'ten' does not exist."),
        ({"train_classes": [1, "1"]}, "train_classes", "Class '1' is selected twice"),
        ({"train_classes": [1, 2], "imbalance": 2.0}, "imbalance", "leave it or train_classes out"),
        ({"train_classes": [1], "label_noise": 0.1}, "label_noise", "With one class"),
        ({"train_classes": [3], "train_size": 148, "validation_size": 0}, "train_size", "at most 147"),
        ({"train_classes": [3], "train_size": 146}, "train_size", "the selected class surely have; at most"),
        ({"train_classes": [3], "validation_size": 1441}, "train_classes", "may leave none of the selected class"),
        ({"kind": "linear", "train_classes": [0]}, "train_classes", "is about classes; leave it out"),
        ({"kind": "emnist", "split": "byclass", "train_classes": ["A"]}, "train_classes", "is unknown"),
    ],
)
def test_selection_that_cannot_train_is_refused_with_its_field(
    dataset: dict[str, Any], place: str, message: str
) -> None:
    objections = dict(spec(dataset={"kind": "digits", **dataset}).objections())
    assert message in objections["dataset", place].message


@pytest.mark.parametrize("classes", [[], [-1], [True], [1.5], "3", [""]])
def test_malformed_selection_is_refused(classes: Any) -> None:
    with pytest.raises(ValueError, match="train_classes"):
        spec(dataset={"kind": "digits", "train_classes": classes})


def test_classes_of_a_transfer_set_are_checked() -> None:
    teacher = {"run_id": f"run_{'0' * 26}"}
    part = {"kind": "distillation", "teachers": [teacher], "transfer": {"dataset": {"kind": "digits"}}}
    for classes, expected in ([0, 1], []), ([12], [("regularizers", 0, "transfer", "dataset", "train_classes")]):
        part["transfer"] = {"dataset": {"kind": "digits", "validation_size": 100, "train_classes": classes}}
        run = spec(dataset={"kind": "digits", "validation_size": 100}, regularizers=[part])
        assert [where for where, _ in run.objections()] == expected


def test_split_of_a_selection_without_validation_rows_is_fixed() -> None:
    assert "All 147 rows train" in (Digits(train_classes=(3,), validation_size=0).fixed_split or "")
    assert Digits(train_classes=(3,)).fixed_split is None
