"""Folds: every row validates once, every class is spread evenly, and specs without one are what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from tests.conftest import BODY, spec
from worker.engine.data import Data
from worker.spec import keys
from worker.spec.datasets.digits import Digits
from worker.spec.folds import MAX_FOLDS, Fold
from worker.spec.keys import reuse_key, spec_hash, stack_key
from worker.spec.rng import permutation
from worker.spec.run import RunSpec

CPU, HOME = torch.device("cpu"), Path("/nowhere")
Rows = np.ndarray[Any, np.dtype[np.int64]]


def of(count: int) -> list[Fold]:
    return [Fold(index=index, of=count) for index in range(count)]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Rows, int]:
    """Labels of some rows, classes of any size down to none, and how many folds there are to be."""
    counts = draw(st.lists(st.integers(0, 60), min_size=1, max_size=10).filter(lambda counts: sum(counts) > 1))
    labels = np.repeat(np.arange(len(counts)), counts)
    order = permutation(draw(st.integers(0, 99)), "labels", 0, len(labels))
    return labels[order], draw(st.integers(2, min(MAX_FOLDS, len(labels))))


@given(labelled(), st.integers(0, 2**53 - 1))
def test_every_row_validates_in_one_fold_and_trains_in_the_others(drawn: tuple[Rows, int], seed: int) -> None:
    labels, count = drawn
    order = permutation(seed, "split", 0, len(labels))
    splits = [fold.split(order, labels) for fold in of(count)]
    for held_out, train in splits:
        assert sorted(np.concatenate([held_out, train])) == list(range(len(labels)))
    assert sorted(np.concatenate([held_out for held_out, _ in splits])) == list(range(len(labels)))
    assert [len(held_out) for held_out, _ in splits] == [fold.size(len(labels)) for fold in of(count)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The least populated class")
@given(labelled(), st.integers(0, 99))
def test_folds_are_as_even_as_scikit_learns_stratified_ones(drawn: tuple[Rows, int], seed: int) -> None:
    """The same numbers of rows in all and of each class, whichever fold has one more."""
    labels, count = drawn
    classes = labels.max() + 1
    order = permutation(seed, "split", 0, len(labels))
    ours = np.array([np.bincount(labels[fold.split(order, labels)[0]], minlength=classes) for fold in of(count)])
    assert (np.ptp(ours, axis=0) <= 1).all(), "of every class"
    assert np.ptp(ours.sum(axis=1)) <= 1, "in all"
    if np.bincount(labels).max() < count:
        return  # scikit-learn refuses what no class is large enough for
    stratified = StratifiedKFold(count, shuffle=True, random_state=seed)
    held_out = [rows for _, rows in stratified.split(labels, labels)]
    theirs = np.array([np.bincount(labels[rows], minlength=classes) for rows in held_out])
    assert (np.sort(ours, axis=0) == np.sort(theirs, axis=0)).all()
    assert sorted(ours.sum(axis=1)) == sorted(theirs.sum(axis=1))


@given(labelled(), st.integers(0, 99))
def test_rows_keep_the_order_of_the_split_so_that_the_first_are_a_fair_sample(
    drawn: tuple[Rows, int], seed: int
) -> None:
    labels, count = drawn
    order = permutation(seed, "split", 0, len(labels))
    place = np.argsort(order)
    for fold in of(count):
        assert all((np.diff(place[rows]) > 0).all() for rows in fold.split(order, labels))


def test_split_seed_determines_the_folds() -> None:
    def rows(**changes: object) -> bytes:
        digits = {"kind": "digits", "fold": {"index": 0, "of": 5}, **changes}
        return Data(spec(dataset=digits).dataset, HOME, CPU).validation.x.numpy().tobytes()

    assert rows() == rows() == rows(train_size=100) == rows(label_noise=0.5) == rows(imbalance=5.0)
    assert rows() != rows(split_seed=1)
    assert rows() != rows(fold={"index": 1, "of": 5})


def test_numeric_targets_are_dealt_in_the_order_of_the_split() -> None:
    order = permutation(0, "split", 0, 50)
    held_out, _ = Fold(index=2, of=5).split(order, np.linspace(0, 1, 50))
    assert held_out.tolist() == order[2::5].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["digits", "mnist1d"])
@pytest.mark.parametrize("changes", [{}, {"train_size": 200, "label_noise": 0.25}, {"imbalance": 8.0}])
def test_training_and_validation_rows_are_disjoint(kind: str, changes: dict[str, Any]) -> None:
    observed = []
    whole = spec(dataset={"kind": kind}).dataset.load(HOME)
    for fold in of(4):
        dataset = spec(dataset={"kind": kind, "fold": fold.model_dump(), **changes}).dataset
        data = Data(dataset, HOME, CPU)
        assert (len(data), len(data.validation.y)) == (dataset.training_rows, dataset.validation_rows)
        trains = {row.tobytes() for row in data.inputs(data.raw).numpy()}
        validates = [row.tobytes() for row in data.validation.x.numpy()]
        assert not trains & set(validates)
        observed += validates
        if dataset.label_noise:
            rows = data.inputs(torch.from_numpy(whole.train_x.reshape(len(whole.train_x), -1))).numpy()
            right = dict(zip((row.tobytes() for row in rows), whole.train_y.tolist(), strict=True))
            assert [right[row] for row in validates] == data.validation.y.tolist(), "noise is for training rows"
            noisy = sum(
                right[row.tobytes()] != y for row, y in zip(data.inputs(data.raw).numpy(), data.y.tolist(), strict=True)
            )
            assert noisy == 50
    assert len(observed) == len(set(observed)) == spec(dataset={"kind": kind}).dataset.rows[0]


def test_spec_without_a_fold_has_the_same_keys_as_before_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of finished runs in databases of the first releases, which must still be reused."""
    known = {
        "sha256:9feef2bf410c92650faee7981a59837a616b736f42f4d2cfb9c66defc77eb949": spec(),
        "sha256:ac52bc33e8e0c140943e8eb9cc3bc076976dd1b931b13e9987b0a0e72064bdae": spec(
            dataset={"kind": "fashion_mnist"}
        ),
        "sha256:ca11c3bab0ef3e1966bb92e7d1ae429c8e7ea2b9077c631d433e3e85d86eae60": spec(
            dataset={"kind": "digits", "label_noise": 0.2, "imbalance": 4.0, "fold": None}
        ),
    }
    assert [spec_hash(one) for one in known.values()] == list(known)
    monkeypatch.setattr(keys, "ENGINE_VERSION", "2")  # with which the known one was made
    assert stack_key(spec()) == "sha256:00d4686c7aee237d9e3983e526c641984f8f229a4243e1ddf2c1873c00f222bf"
    assert "fold" not in spec().dataset.model_dump(mode="json")


def test_folds_are_different_data_and_so_different_stacks() -> None:
    bodies: list[dict[str, Any]] = [{}, *({"fold": fold.model_dump()} for fold in (*of(3), *of(2)))]
    specs = [spec(dataset={"kind": "digits", **body}) for body in bodies]
    for key in (spec_hash, reuse_key, stack_key):
        assert len({key(one) for one in specs}) == len(specs)


def test_resolved_spec_with_a_fold_can_be_sent_again() -> None:
    one = spec(dataset={"kind": "digits", "fold": {"index": 1, "of": 5}})
    assert one.dataset.validation_size == 0
    assert RunSpec.model_validate_json(one.model_dump_json()) == one
    assert one.dataset == spec().dataset.model_copy(update={"train_size": None}).held_out(Fold(index=1, of=5))
    assert not list(one.objections())


@pytest.mark.parametrize(
    ("dataset", "place", "message"),
    [
        ({"fold": {"index": 5, "of": 5}}, "fold", "from 0 to 4"),
        ({"fold": {"index": 0, "of": 5}, "validation_size": 100}, "validation_size", "leave validation_size out"),
        ({"fold": {"index": 0, "of": 5}, "train_size": 1154}, "train_size", "at most 1153"),
        ({"fold": {"index": 0, "of": 2}, "train_size": 720, "imbalance": 5.0}, "train_size", "imbalance 5"),
    ],
)
def test_invalid_fold_is_refused_with_its_field(dataset: dict[str, Any], place: str, message: str) -> None:
    ((where, objection),) = spec(dataset={"kind": "digits", **dataset}).objections()
    assert where == ("dataset", place)
    assert message in objection.message
    fitting = {"kind": "digits", "fold": {"index": 4, "of": 5}, "train_size": 1154}
    assert not list(spec(**{**BODY, "dataset": fitting}).objections())


def test_folds_are_at_most_as_many_as_rows() -> None:
    class Tiny(Digits):
        rows = (12, 3)

    def against(count: int) -> list[str]:
        tiny = Tiny(fold=Fold(index=0, of=count))
        return [objection.message for objection in tiny.objections(spec())]

    assert against(12) == []
    assert against(13) == ["12 rows cannot be parted into 13 folds; at most 12 work."]
