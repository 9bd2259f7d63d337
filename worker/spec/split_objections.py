"""Objections to how a dataset is split: too few rows, a missing fold, settings for classes in a regression."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from worker.spec.folds import Fold
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.families.dataset import Dataset
    from worker.spec.run import RunSpec

SURE = 0.85
"""The share of each class, if even, that a random split surely leaves for an imbalanced training set."""
OF_CLASSES = ("label_noise", "imbalance", "oversample")
"""Fields that apply only to a target of classes."""


def split_objections(dataset: Dataset, run: RunSpec) -> Sequence[Objection]:
    """Return the first objection to the split of ``dataset``, if there is one."""
    fold = dataset.fold
    every = itertools.chain(_against_class_fields(dataset, run), _against_fold(dataset, fold), _against_sizes(dataset))
    return list(itertools.islice(every, 1))  # later ones assume that earlier ones do not apply


def _against_class_fields(dataset: Dataset, run: RunSpec) -> Iterator[Objection]:
    """Refuse settings for classes in a regression, and repeated rows of a model that is not trained."""
    for name in OF_CLASSES if dataset.task == "regression" else ():
        if getattr(dataset, name) != type(dataset).model_fields[name].default:
            message = f"The target of this dataset is a number, and {name} is about classes; leave it out."
            yield Objection(field=name, message=message)
    if dataset.oversample and not run.model.trains:
        message = f"{run.model.kind!r} is not trained, so no row is repeated; leave oversample out."
        yield Objection(field="oversample", message=message)


def _against_fold(dataset: Dataset, fold: Fold | None) -> Iterator[Objection]:
    if fold is None:
        return
    rows = dataset.rows[0]
    if dataset.chronological:
        message = (
            "Rows of this dataset follow each other in time, and a fold would be judged by what came after it. Set "
            "validation_size: the last rows of the training data then validate."
        )
        yield Objection(field="fold", message=message)
    if fold.index >= fold.of:
        known = f"they are counted from 0 to {fold.of - 1}"
        yield Objection(field="fold", message=f"Fold {fold.index} of {fold.of} does not exist: {known}.")
    if fold.of > rows:
        message = f"{rows} rows cannot be parted into {fold.of} folds; at most {rows} work."
        yield Objection(field="fold", message=message)
    if dataset.validation_size:
        message = f"The fold is what validates: leave validation_size out, instead of {dataset.validation_size}."
        yield Objection(field="validation_size", message=message)


def _against_sizes(dataset: Dataset) -> Iterator[Objection]:
    left, rows, unused = dataset.remaining_rows, dataset.rows[0], dataset.unused_rows
    note = f" ({unused} stay unused between the parts)" if unused else ""
    if left < 1:
        message = f"{dataset.validation_size} rows for validation leave none of the {rows} to train on{note}."
        yield Objection(field="validation_size", message=message)
    if dataset.train_size is None:
        return
    if dataset.train_size > left:
        message = (
            f"{dataset.train_size} rows to train on and {dataset.validation_rows} to validate are more than the {rows} "
            f"there are; at most {left} are left to train on{note}."
        )
        yield Objection(field="train_size", message=message)
    if dataset.imbalance > 1 and (class_rows := dataset.class_rows) is not None:
        most = int(SURE * left / len(dataset.classes))
        if class_rows[0] > most:
            largest = int(dataset.train_size * most / class_rows[0])
            message = (
                f"With imbalance {dataset.imbalance:g}, {dataset.train_size} rows need {class_rows[0]} of the first "
                f"class, and only about {most} are sure to be there; at most {largest} rows work."
            )
            yield Objection(field="train_size", message=message)
