"""The optimizers: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.optimizer import Optimizer
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyOptimizer = Optimizer
else:
    AnyOptimizer = union_of(__name__, Optimizer)

KINDS = parts_in(__name__, Optimizer)
"""Every part of this folder, by kind."""

for _part in KINDS.values():  # some have a field of the union
    _part.model_rebuild(force=True, _types_namespace={"AnyOptimizer": AnyOptimizer})
