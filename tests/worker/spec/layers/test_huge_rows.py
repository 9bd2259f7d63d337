"""Refusals of rows of any size come at once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from worker.spec.families.layer import DoesNotFit, Layer
from worker.spec.layers import AnyLayer

LAYER: TypeAdapter[Layer] = TypeAdapter(AnyLayer)


@pytest.mark.parametrize(
    ("fields", "shape", "allowed"),
    [
        ({"kind": "group_norm", "groups": 7}, (10**15,), [1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64]),
        ({"kind": "self_attention", "heads": 7}, (2, 10**15), [1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64]),
        ({"kind": "maxout", "size": 7}, (10**15,), [2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64]),
    ],
)
def test_refusal_of_huge_rows_lists_small_divisors(
    fields: dict[str, Any], shape: tuple[int, ...], allowed: list[int]
) -> None:
    with pytest.raises(DoesNotFit) as refusal:
        LAYER.validate_python(fields).output_shape(shape)
    assert list(refusal.value.allowed) == allowed
