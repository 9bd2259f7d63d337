"""Rows in prediction requests: checked number by number, with errors by JSON pointer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import FieldError, SpecRefused

MAX_ERRORS = 20
"""Errors reported at most."""
LARGEST = float(np.finfo(np.float32).max)


def check_count(inputs: Sequence[Any], max_rows: int) -> None:
    """Check the number of rows.

    Raises:
        SpecRefused: There are no rows, or more than ``max_rows``.
    """
    if not 1 <= len(inputs) <= max_rows:
        message = f"The request has {len(inputs):,} rows; allowed are 1 to {max_rows:,} (FITWELL_MAX_PREDICT_ROWS)."
        raise SpecRefused.at("/inputs", "wrong_count", message)


def parse_rows(inputs: Sequence[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the rows as an array (n, *shape); each input is a flat list of numbers, or nested like ``shape``.

    Raises:
        SpecRefused: Rows are invalid; lists the first errors.
    """
    rows, errors = [], list[FieldError]()
    for i, value in enumerate(inputs):
        try:
            rows.append(_row(value, shape))
        except _InvalidRow as error:
            errors.append(FieldError(f"/inputs/{i}{error.place}", error.code, error.message))
            if len(errors) == MAX_ERRORS:
                break
    if errors:
        raise SpecRefused(f"{errors[0].pointer}: {errors[0].message}", errors=errors)
    return np.stack(rows).reshape(-1, *shape)


class _InvalidRow(Exception):
    """An error in a row, at ``place``, a JSON pointer into the row."""

    def __init__(self, place: str, code: str, message: str) -> None:
        super().__init__(message)
        self.place, self.code, self.message = place, code, message


def _row(value: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return one row, flattened."""
    size = math.prod(shape)
    nested = f", or nested as {'×'.join(map(str, shape))}" if len(shape) > 1 else ""
    if not isinstance(value, list):
        raise _InvalidRow("", "no_list", f"A row is a list of {size} numbers{nested}, not {_excerpt(value)}.")
    if len(shape) > 1 and value and isinstance(value[0], list):
        return np.concatenate([_numbers(inner, place, shape) for place, inner in _lists(value, shape, "")])
    if len(value) != size:
        raise _InvalidRow("", "wrong_length", f"A row is a list of {size} numbers{nested}; this one has {len(value)}.")
    return _numbers(value, "", shape)


def _lists(value: Any, shape: tuple[int, ...], place: str) -> list[tuple[str, list[Any]]]:
    """Return the innermost lists of a nested row, each with its place."""
    if not isinstance(value, list) or len(value) != shape[0]:
        actual = f"a list of {len(value)}" if isinstance(value, list) else _excerpt(value)
        items = "numbers" if len(shape) == 1 else "lists"
        raise _InvalidRow(place, "wrong_length", f"This must be a list of {shape[0]} {items}, not {actual}.")
    if len(shape) == 1:
        return [(place, value)]
    return [innermost for i, inner in enumerate(value) for innermost in _lists(inner, shape[1:], f"{place}/{i}")]


def _numbers(value: list[Any], place: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a list of numbers as float32."""
    if set(map(type, value)) <= {int, float}:
        try:
            numbers = np.array(value, np.float64)
        except OverflowError:  # an integer of more than 308 digits
            pass
        else:
            if bool((np.abs(numbers) <= LARGEST).all()):  # False for NaN
                return numbers.astype(np.float32)
    i = next(i for i, one in enumerate(value) if not _fits(one))
    hint = "" if not isinstance(value[i], list) else f" A row has the shape {'×'.join(map(str, shape))}."
    raise _InvalidRow(
        f"{place}/{i}", "no_number", f"This must be a finite float32 number, not {_excerpt(value[i])}.{hint}"
    )


def _fits(one: Any) -> bool:
    return type(one) in (int, float) and abs(one) <= LARGEST


def _excerpt(value: Any) -> str:
    """Return a value as text for a message, shortened."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if type(value) is int and abs(value) > LARGEST:
        return "one so large"  # Python refuses to format thousands of digits
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
