"""The regularizers: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Spec, parts_in, union_of
from worker.spec.teachers import Teacher, TeacherNetwork

if TYPE_CHECKING:
    AnyRegularizer = Regularizer
else:
    AnyRegularizer = union_of(__name__, Regularizer)

KINDS = parts_in(__name__, Regularizer)
"""Every part of this folder, by kind."""


def complete(**names: type[Spec]) -> None:
    """Build the parts that name in their fields what is made of them: the union here, and ``names``."""
    known = {"AnyRegularizer": AnyRegularizer, **names}
    models: list[type[Spec]] = [TeacherNetwork, Teacher, *KINDS.values()]
    for model in models:
        model.model_rebuild(force=True, _types_namespace=known)
