"""Some of the classes of a file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from service.sandbox.parsing.refusals import Refused, listed, quoted
from service.sandbox.parsing.sources import Source
from service.sandbox.parsing.targets import Target


def chosen_classes(names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return the names of the requested classes, in the order of ``names``.

    Raises:
        Refused: A requested class does not exist.
    """
    if unknown := sorted(set(classes) - set(names)):
        near = difflib.get_close_matches(unknown[0], names, 1)
        hint = f"Did you mean {quoted(near[0])!r}?" if near else f"Its classes are {listed(names, 'classes')}."
        message = f"The file has no class {listed(unknown, 'classes')}. {hint}"
        raise Refused("no_such_class", message, place="classes", allowed=names, parameter="classes")
    return [name for name in names if name in set(classes)]


def with_classes(source: Source, target: Target, classes: Sequence[str]) -> tuple[Source, Target]:
    """Return the rows of ``classes``, or all rows if it is empty.

    Raises:
        Refused: A requested class does not exist, or the target is a number.
    """
    if not classes:
        return source, target
    if target.task == "regression":
        message = "The target is a number, so it has no classes. Leave classes out, or set task=classification."
        raise Refused("wrong_option", message, place="classes")
    names = chosen_classes(target.classes, classes)
    if len(names) == len(target.classes):
        return source, target
    numbers = np.full(len(target.classes), -1)
    numbers[[target.classes.index(name) for name in names]] = np.arange(len(names))
    values = numbers[target.values]
    chosen = values >= 0
    parts = np.split(chosen, np.cumsum([len(x) for x in source.x])[:-1])
    notes = [*source.notes, f"{(~chosen).sum():,} rows of other classes were left out, as requested."]
    x = [rows[part] for rows, part in zip(source.x, parts, strict=True)]
    validates = None if source.validates is None else source.validates[parts[0]]
    return replace(source, x=x, validates=validates, notes=notes), replace(
        target, values=values[chosen], classes=tuple(names)
    )
