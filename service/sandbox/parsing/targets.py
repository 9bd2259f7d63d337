"""The target: classes or numbers, as requested or inferred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from service.sandbox.parsing.options import Task
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.sources import Named, Values, check_names

MAX_CLASSES = 1000
MAX_CLASSES_LENGTH = 20_000
"""Characters of all classes' names, as every run's spec contains them."""
LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
MAX_INFERRED_CLASSES = 20
"""Different whole numbers up to which a target is inferred to be classes."""


@dataclass(frozen=True)
class Target:
    """The target of each row: labels as int64 with the classes' names, or numbers as float64."""

    task: Task
    values: Values
    classes: tuple[str, ...]
    note: str

    def of(self, row: int) -> Any:
        """Return a row's class name or number."""
        value = self.values[row]
        return self.classes[value] if self.task == "classification" else float(value)


def target_of(y: Named | Values, task: Task | None) -> Target:
    """Return the target in ``y``, of the requested or inferred task.

    Raises:
        Refused: The target has mixed types, is not finite, or is constant.
    """
    if len(y.codes if isinstance(y, Named) else y) == 0:
        raise Refused("empty", "The file has no rows.")
    target = _named(y, task) if isinstance(y, Named) else _numeric(y, task)
    if target.task == "classification":
        _check_classes(target.classes)
    else:
        _check_numbers(target.values)
    return target


def _check_numbers(y: Values) -> None:
    """Check that the numbers differ, and that their squares can be summed in float32."""
    if y.min() == y.max():
        raise Refused("constant_target", f"Every row has the target {y[0]:g}; there is nothing to learn.")
    large = np.flatnonzero(np.abs(y) > LARGEST)
    if len(large):
        row = int(large[0])
        message = f"The target of row {row + 1} is {y[row]:g}; only finite float32 numbers work: use a larger unit."
        raise Refused("not_finite", message, place=f"row {row + 1}")
    if np.ptp(y) < SMALLEST:
        message = f"The targets differ by at most {np.ptp(y):g}, which is nothing in float32: use a smaller unit."
        raise Refused("constant_target", message)


def _named(y: Named, task: Task | None) -> Target:
    if task == "regression":
        raise Refused("target_is_text", "The target is text, so it cannot be a number to predict.", parameter="task")
    order = sorted(range(len(y.names)), key=lambda i: y.names[i])
    present, codes = np.unique(np.argsort(order)[y.codes], return_inverse=True)
    names = [y.names[order[i]] for i in present]
    return Target("classification", codes.astype(np.int64), tuple(names), "since the target is text")


def _numeric(y: Values, task: Task | None) -> Target:
    if y.dtype.kind not in "biuf":
        raise Refused("wrong_dtype", f"The target has the type {y.dtype}; it can be whole or real numbers, or text.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        message = f"The target of row {row + 1} is {y[row]}; leave out rows that have none."
        raise Refused("not_finite", message, place=f"row {row + 1}")
    distinct, codes = np.unique(y, return_inverse=True)
    whole = y.dtype.kind != "f" or bool((distinct == np.floor(distinct)).all())
    if task == "regression" or (task is None and not (whole and len(distinct) <= MAX_INFERRED_CLASSES)):
        why = "as requested" if task else f"since the target has {len(distinct):,} different values"
        return Target("regression", y.astype(np.float64), (), why)
    if len(distinct) > MAX_CLASSES:
        message = f"The target has {len(distinct):,} different values; at most {MAX_CLASSES:,} can be classes."
        raise Refused("too_many_classes", message, parameter="task")
    why = "as requested" if task else f"since the target has {len(distinct)} different whole values"
    names = tuple(_name(value, whole=whole) for value in distinct)
    return Target("classification", codes.astype(np.int64), names, why)


def _name(value: Any, *, whole: bool) -> str:
    """Return the name of the class for a number."""
    if value.dtype.kind == "b":
        return str(value).lower()
    return str(int(value)) if whole else repr(float(value))


def _check_classes(classes: tuple[str, ...]) -> None:
    if len(classes) == 1:
        raise Refused("one_class", f"Every row is of the class {classes[0]!r}; there is nothing to tell apart.")
    if len(classes) > MAX_CLASSES:
        message = f"The target has {len(classes):,} different values; at most {MAX_CLASSES:,} can be classes."
        raise Refused("too_many_classes", message)
    check_names(classes, "class")
    if sum(map(len, classes)) > MAX_CLASSES_LENGTH:
        message = f"The classes' names have more than {MAX_CLASSES_LENGTH:,} characters together; shorten them."
        raise Refused("bad_name", message)
