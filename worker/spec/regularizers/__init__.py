"""The regularizers: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyRegularizer = Regularizer
else:
    AnyRegularizer = union_of(__name__, Regularizer)

for _part in parts_in(__name__, Regularizer).values():
    _part.model_rebuild(force=True, _types_namespace={"AnyRegularizer": AnyRegularizer})

KINDS = parts_in(__name__, Regularizer)
"""Every part of this folder, by kind."""
