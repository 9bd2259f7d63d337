"""The layers: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.layer import Layer
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = union_of(__name__, Layer)

KINDS = parts_in(__name__, Layer)
"""Every part of this folder, by kind."""

for _part in KINDS.values():  # layers that contain layers name the union in their fields
    _part.model_rebuild(force=True, _types_namespace={"AnyLayer": AnyLayer})
