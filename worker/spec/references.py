"""References of a spec to things outside it, with their places in the spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from worker.spec.families.dataset import Dataset
    from worker.spec.teachers import Teacher

Place = tuple[str | int, ...]
"""The names of fields and the positions in lists that lead to a value: ``("regularizers", 0, "teachers", 1)``."""
M = TypeVar("M", bound=BaseModel)


class References(NamedTuple):
    """Datasets and teachers that a spec or a part refers to, by place."""

    datasets: Mapping[Place, Dataset] = MappingProxyType({})
    """Beside a dataset within a part, the field ``digest`` has the digest of the data, set at submission."""
    teachers: Mapping[Place, Teacher] = MappingProxyType({})

    def within(self, place: Place) -> References:
        """Return the references of a part as those of the spec in which it has this place."""
        return References(
            {(*place, *own): dataset for own, dataset in self.datasets.items()},
            {(*place, *own): teacher for own, teacher in self.teachers.items()},
        )

    @classmethod
    def of_all(cls, references: Iterable[References]) -> References:
        """Return several references as one."""
        datasets: dict[Place, Dataset] = {}
        teachers: dict[Place, Teacher] = {}
        for one in references:
            datasets |= one.datasets
            teachers |= one.teachers
        return cls(datasets, teachers)


def replaced(spec: M, place: Place, value: Any) -> M:
    """Return ``spec`` with ``value`` at ``place``; the same object if it has that value."""
    changed: M = _replaced(spec, place, value)
    return changed


def _replaced(node: Any, place: Place, value: Any) -> Any:
    if not place:
        return node if node == value else value
    step, *rest = place
    if isinstance(step, int):
        changed = _replaced(node[step], tuple(rest), value)
        return node if changed is node[step] else (*node[:step], changed, *node[step + 1 :])
    current = getattr(node, step)
    changed = _replaced(current, tuple(rest), value)
    return node if changed is current else node.model_copy(update={step: changed})
