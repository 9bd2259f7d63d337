"""Columns of numbers that identify or number the rows."""

from __future__ import annotations

import re

import numpy as np

from service.sandbox.parsing.sources import Values

ID_NAMES = re.compile(r"(?i:id|.*[-_. ]id)|.*[a-z]I[dD]")
"""Names of columns that identify the rows, if they are different whole numbers."""
ROW_NAMES = re.compile(
    r"column \d+|unnamed(: ?\d+)?|__index_level_0__|.*id|index|idx|rows?|row[_ ]?(names?|numbers?|nr|no|num)|"
    r"no|nr|num|number|#|case|obs|observation|record",
    re.IGNORECASE,
)
"""Names of columns that only number the rows, if they count from 0 or 1; others, such as ``t``, may be inputs."""


def count_rows(values: Values) -> bool:
    """Return whether the values count from 0 or 1."""
    if len(values) < 3 or values[0] not in (0, 1):
        return False
    return bool((np.diff(values) == 1).all())


def are_different(values: Values) -> bool:
    """Return whether the values are whole numbers, all present and different."""
    if np.isnan(values).any() or (values != np.rint(values)).any():
        return False
    return len(values) > 2 and len(np.unique(values)) == len(values)
