"""The names of the arrays in a .npz file, and what they mean.

Inputs are ``x``, ``images``, ``data``, … and targets ``y``, ``labels``, ``target``, …; those of one part have
``train``, ``val`` or ``test`` before or behind it: ``x_train``, ``test_images``. NumPy's own ``arr_0`` and ``arr_1``
are inputs and targets. Case is ignored.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.sandbox.parsing.refusals import Refused, listed, quoted

WHOLE, TRAIN, VALIDATION, TEST = "", "train", "validation", "test"
PARTS = {
    "train": TRAIN, "training": TRAIN, "tr": TRAIN, "validation": VALIDATION, "val": VALIDATION, "valid": VALIDATION,
    "dev": VALIDATION, "test": TEST, "testing": TEST, "te": TEST,
}  # fmt: skip
INPUTS = ("x", "images", "image", "imgs", "data", "features", "inputs", "input", "samples")
TARGETS = ("y", "labels", "label", "targets", "target", "classes", "class")
UNNAMED = {"arr_0": "x", "arr_1": "y"}
"""Names that numpy.savez gives to arrays, with their meaning."""
MEANINGS = ("x", "y", *(f"{name}_{part}" for part in (TRAIN, VALIDATION, TEST) for name in ("x", "y")))
"""Meanings of arrays, also in the option ``arrays``."""


class Pair(NamedTuple):
    """The names of the arrays with the inputs and the targets of a part."""

    part: str
    x: str
    y: str


def pairs_of(names: Sequence[str], arrays: Mapping[str, str], notes: list[str]) -> list[Pair]:
    """Return the arrays of each part: of the whole file, or of training, validation and test.

    Args:
        names: Of all arrays in the file.
        arrays: Names by meaning, as requested; empty decides by the names.
        notes: Receives how unusual names were understood.

    Raises:
        Refused: The arrays are no inputs with targets.
    """
    by_meaning = _requested(names, arrays, notes) if arrays else _recognized(names)
    parts = [part for part in (WHOLE, TRAIN, VALIDATION, TEST) if _meaning("x", part) in by_meaning]
    expected = {_meaning(name, part) for part in parts for name in ("x", "y")}
    if set(by_meaning) != expected or (WHOLE in parts and len(parts) > 1) or parts[:1] not in ([WHOLE], [TRAIN]):
        raise _unknown_arrays(names, arrays)
    if not arrays and any(meaning != name.lower() for meaning, name in by_meaning.items()):
        roles = ", ".join(f"{meaning} is {quoted(name)!r}" for meaning, name in by_meaning.items())
        notes.append(f"The arrays were recognized by their names: {roles}.")
    return [Pair(part, by_meaning[_meaning("x", part)], by_meaning[_meaning("y", part)]) for part in parts]


def _meaning(name: str, part: str) -> str:
    return f"{name}_{part}" if part else name


def _requested(names: Sequence[str], arrays: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Return the requested arrays by meaning, and note which others are ignored."""
    for meaning, name in arrays.items():
        if meaning not in MEANINGS:
            near = difflib.get_close_matches(meaning, MEANINGS, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"An array can be {', '.join(MEANINGS)}."
            message = f"Unknown meaning {quoted(meaning)!r} of an array. {hint}"
            raise Refused("unknown_meaning", message, place="arrays", allowed=MEANINGS, parameter="arrays")
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"Did you mean {quoted(near[0])!r}?" if near else f"Its arrays are {listed(names, 'arrays')}."
            message = f"The file has no array {quoted(name)!r}. {hint}"
            raise Refused("unknown_arrays", message, place="arrays", allowed=names, parameter="arrays")
    if others := [name for name in names if name not in arrays.values()]:
        notes.append(f"Arrays without a requested meaning were ignored: {listed(others, 'arrays')}.")
    return {meaning: arrays[meaning] for meaning in MEANINGS if meaning in arrays}


def _recognized(names: Sequence[str]) -> dict[str, str]:
    """Return the arrays by meaning, as far as their names tell it.

    Raises:
        Refused: A name has no meaning, or two names have the same.
    """
    meanings = {name: _meaning_of(name.lower()) for name in names}
    by_meaning = {meaning: name for name, meaning in meanings.items()}
    if None in by_meaning or len(by_meaning) < len(names):
        raise _unknown_arrays(names, {})
    return {meaning: by_meaning[meaning] for meaning in MEANINGS if meaning in by_meaning}


def _meaning_of(name: str) -> str | None:
    """Return what an array of this name is, or None if the name does not tell it."""
    if name in UNNAMED:
        return UNNAMED[name]
    words = name.replace("-", "_").split("_")
    part = WHOLE
    if len(words) == 2:
        where = next((i for i in (0, 1) if words[i] in PARTS), None)
        if where is None:
            return None
        part = PARTS[words.pop(where)]
    if len(words) != 1 or words[0] not in (*INPUTS, *TARGETS):
        return None
    return _meaning("x" if words[0] in INPUTS else "y", part)


def _unknown_arrays(names: Sequence[str], arrays: Mapping[str, str]) -> Refused:
    """Return the error that lists the arrays and the option that names their meanings."""
    if arrays:
        actual = ", ".join(f"{meaning}={quoted(name)}" for meaning, name in arrays.items())
        message = (
            f"arrays names {actual}; inputs and targets come in pairs: x and y, or x_train and y_train with those of "
            "x_validation, y_validation and x_test, y_test that the file has."
        )
    else:
        message = (
            f"The file has the arrays {quoted(', '.join(sorted(names)))}; x and y, or x_train, y_train, x_test and "
            "y_test are recognized, and usual names like images and labels. Set arrays=x=NAME and arrays=y=NAME."
        )
    return Refused("unknown_arrays", message, place="arrays" if arrays else "", allowed=MEANINGS, parameter="arrays")
