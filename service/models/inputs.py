"""Rows that a caller brings along: checked number by number, and told by JSON pointer what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import FieldError, SpecRefused

MOST_ERRORS = 20
"""Places that are named, at most."""
LARGEST = float(np.finfo(np.float32).max)


def rows_of(inputs: Sequence[Any], shape: tuple[int, ...], most: int) -> NDArray[np.float32]:
    """The rows as (n, *shape); each is a flat list of numbers, or nested as ``shape`` says.

    Raises:
        SpecRefused: there are too many or none, or one is not a row; the first places are named.
    """
    if not 1 <= len(inputs) <= most:
        message = f"These are {len(inputs):,} rows; one request predicts 1 to {most:,} (FITWELL_MAX_PREDICT_ROWS)."
        raise SpecRefused.at("/inputs", "wrong_count", message)
    rows, errors = [], list[FieldError]()
    for i, given in enumerate(inputs):
        try:
            rows.append(_row(given, shape))
        except _Wrong as wrong:
            errors.append(FieldError(f"/inputs/{i}{wrong.place}", wrong.code, wrong.message))
            if len(errors) == MOST_ERRORS:
                break
    if errors:
        raise SpecRefused(f"{errors[0].pointer}: {errors[0].message}", errors=errors)
    return np.stack(rows).reshape(-1, *shape)


class _Wrong(Exception):
    """What is wrong with a row, and where in it."""

    def __init__(self, place: str, code: str, message: str) -> None:
        super().__init__(message)
        self.place, self.code, self.message = place, code, message


def _row(given: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One row, flat."""
    size = math.prod(shape)
    nested = f", or nested as {'×'.join(map(str, shape))}" if len(shape) > 1 else ""
    if not isinstance(given, list):
        raise _Wrong("", "no_list", f"A row is a list of {size} numbers{nested}, not {_shown(given)}.")
    if len(shape) > 1 and given and isinstance(given[0], list):
        return np.concatenate([_numbers(inner, place, shape) for place, inner in _lists(given, shape, "")])
    if len(given) != size:
        raise _Wrong("", "wrong_length", f"A row is a list of {size} numbers{nested}; this one has {len(given)}.")
    return _numbers(given, "", shape)


def _lists(given: Any, shape: tuple[int, ...], place: str) -> list[tuple[str, list[Any]]]:
    """The innermost lists of a nested row, each with its place."""
    if not isinstance(given, list) or len(given) != shape[0]:
        found = f"a list of {len(given)}" if isinstance(given, list) else _shown(given)
        what = "numbers" if len(shape) == 1 else "lists"
        raise _Wrong(place, "wrong_length", f"This must be a list of {shape[0]} {what}, not {found}.")
    if len(shape) == 1:
        return [(place, given)]
    return [found for i, inner in enumerate(given) for found in _lists(inner, shape[1:], f"{place}/{i}")]


def _numbers(given: list[Any], place: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A list of numbers as float32."""
    if set(map(type, given)) <= {int, float}:
        try:
            numbers = np.array(given, np.float64)
        except OverflowError:  # an integer of more than 308 figures
            pass
        else:
            if bool((np.abs(numbers) <= LARGEST).all()):  # NaN is not
                return numbers.astype(np.float32)
    i = next(i for i, one in enumerate(given) if not _fits(one))
    deeper = "" if not isinstance(given[i], list) else f" A row has the shape {'×'.join(map(str, shape))}."
    raise _Wrong(f"{place}/{i}", "no_number", f"This must be a finite float32 number, not {_shown(given[i])}.{deeper}")


def _fits(one: Any) -> bool:
    return type(one) in (int, float) and abs(one) <= LARGEST


def _shown(given: Any) -> str:
    """A value in a message, where it is short."""
    if isinstance(given, list | dict):
        return "a list" if isinstance(given, list) else "an object"
    if type(given) is int and abs(given) > LARGEST:
        return "one so large"  # Python would refuse to write out thousands of figures
    text = repr(given)
    return text if len(text) <= 40 else f"{text[:37]}…"
