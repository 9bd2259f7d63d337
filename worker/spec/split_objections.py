"""The split of a dataset: objections to it, why no other exists, and the rows of imbalanced classes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from worker.spec.class_subsets import labels_of, rows_left
from worker.spec.folds import Fold
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.families.dataset import Dataset
    from worker.spec.run import RunSpec

SURE = 0.85
"""The share of each class, if even, that a random split surely leaves for an imbalanced training set."""
OF_CLASSES = ("train_classes", "label_noise", "imbalance", "oversample")
"""Fields that apply only to a target of classes."""
MAX_NAMES = 12
"""Of classes, in a message."""


def split_objections(dataset: Dataset, run: RunSpec) -> Sequence[Objection]:
    """Return the first objection to the split of ``dataset``, if there is one."""
    every = itertools.chain(
        _against_class_fields(dataset, run),
        _against_fold(dataset, dataset.fold),
        _against_validation(dataset),
        _against_classes(dataset),
        _against_sizes(dataset),
    )
    return list(itertools.islice(every, 1))  # later ones assume that earlier ones do not apply


def fixed_split(dataset: Dataset) -> str | None:
    """Return why ``split_seed`` decides nothing, and what would work; None if it does."""
    if dataset.chronological:
        return "Rows are in order of time, so the last ones validate in every split. Vary only the seed."
    if not dataset.validation_rows and dataset.training_rows == (rows := dataset.remaining_rows):
        return (
            f"All {rows:,} rows train and none validates. Set dataset.validation_size, or a "
            f"dataset.train_size below {rows:,}, or vary only the seed."
        )
    return None


def imbalanced_rows(dataset: Dataset) -> list[int]:
    """Return the training rows of each class, falling geometrically from the first on."""
    last = max(len(dataset.classes) - 1, 1)
    shares = [dataset.imbalance ** (-c / last) for c in range(len(dataset.classes))]
    left = SURE * dataset.remaining_rows
    rows = left * sum(shares) / len(shares) if dataset.train_size is None else dataset.train_size
    ends = [round(rows * sum(shares[: c + 1]) / sum(shares)) for c in range(len(shares))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


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


def _unused(dataset: Dataset) -> str:
    """Return a note on rows that neither train nor validate; empty if every row does one or the other."""
    return f" ({dataset.unused_rows} stay unused between the parts)" if dataset.unused_rows else ""


def _against_validation(dataset: Dataset) -> Iterator[Objection]:
    """Refuse validation rows that leave none to train on."""
    if dataset.candidate_rows < 1:
        rows, note = dataset.rows[0], _unused(dataset)
        message = f"{dataset.validation_size} rows for validation leave none of the {rows} to train on{note}."
        yield Objection(field="validation_size", message=message)


def _against_classes(dataset: Dataset) -> Iterator[Objection]:
    """Refuse classes that do not exist or occur twice, fields that contradict them, and too few rows of them."""
    if dataset.train_classes is None:
        return
    names, selected = dataset.classes, labels_of(dataset.train_classes, dataset.classes)
    for one in selected:
        if not (one in names if isinstance(one, str) else one < len(names)):
            listed = ", ".join(map(repr, names[:MAX_NAMES])) + (", …" if len(names) > MAX_NAMES else "")
            message = f"Class {one!r} does not exist. Use names, {listed}, or labels, 0 to {len(names) - 1}."
            yield Objection(field="train_classes", message=message, allowed=list(names))
    for one, other in itertools.pairwise(one for one in selected if isinstance(one, int)):
        if one == other:
            message = f"Class {names[one]!r} is selected twice; name it once."
            yield Objection(field="train_classes", message=message)
    if dataset.imbalance > 1:
        message = "imbalance is defined over all classes; leave it or train_classes out."
        yield Objection(field="imbalance", message=message)
    if dataset.label_noise and len(selected) == 1:
        message = "With one class in train_classes, no label can become another one; leave label_noise out."
        yield Objection(field="label_noise", message=message)
    yield from _against_too_few(dataset, dataset.selected_labels or ())


def _against_too_few(dataset: Dataset, labels: Sequence[int]) -> Iterator[Objection]:
    """Refuse a selection of classes of which some split leaves no rows, or fewer than ``train_size``."""
    left, subject = rows_left(dataset, labels), "class" if len(labels) == 1 else f"{len(labels)} classes"
    if left is None:
        message = "How many rows each class of these data has is unknown; leave train_classes out."
        yield Objection(field="train_classes", message=message)
    elif left < 1:
        message = f"{dataset.validation_rows} rows for validation may leave none of the selected {subject} to train on."
        yield Objection(field="train_classes", message=message)
    elif dataset.train_size is not None and dataset.train_size > left:
        message = (
            f"{dataset.train_size} rows to train on are more than the selected {subject} surely have; at most {left} "
            "are left in every split."
        )
        yield Objection(field="train_size", message=message)


def _against_sizes(dataset: Dataset) -> Iterator[Objection]:
    left, rows = dataset.remaining_rows, dataset.rows[0]
    if dataset.train_size is None:
        return
    if dataset.train_size > left:
        message = (
            f"{dataset.train_size} rows to train on and {dataset.validation_rows} to validate are more than the {rows} "
            f"there are; at most {left} are left to train on{_unused(dataset)}."
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
