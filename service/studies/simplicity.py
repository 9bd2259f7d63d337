"""Which of a study's arms are simpler: by the paths that somebody names, or by the strength that alone differs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.errors import FieldError, SpecRefused
from service.store.rows import Row
from service.studies.expansion import steps_of, value_at
from worker.spec.regularizers import KINDS

Specs = Mapping[str, Mapping[str, Any]]
"""By arm, the spec of one of its runs."""


@dataclass(frozen=True)
class Order:
    """Which end of a number is simpler."""

    path: str
    direction: Literal["asc", "desc"]
    inferred: bool = False

    def rank(self, spec: Mapping[str, Any]) -> float:
        """The larger, the simpler; where a spec has nothing, that counts as less than every number."""
        try:
            value = value_at(spec, self.path)
        except KeyError:
            return math.inf if self.direction == "asc" else -math.inf
        if isinstance(value, bool) or not isinstance(value, int | float):
            message = f"An arm has {value!r} at {self.path!r}; only numbers can be put in order."
            raise SpecRefused(message, errors=[FieldError("simpler", "no_number", message)])
        return -value if self.direction == "asc" else value


def asked(text: str, specs: Specs) -> Order:
    """The order that ``path:desc`` (larger is simpler) or ``path:asc`` (smaller is) names.

    Raises:
        SpecRefused: it names none, or no arm has a number there.
    """
    path, _, direction = text.rpartition(":")
    if not path or direction not in ("asc", "desc"):
        message = f"{text!r} names no order; it is a path and asc or desc (regularizers.0.strength:desc)."
        raise SpecRefused(message, errors=[FieldError("simpler", "no_order", message)])
    order = Order(path, "asc" if direction == "asc" else "desc")
    if not any(math.isfinite(order.rank(spec)) for spec in specs.values()):
        message = f"No arm of the study has anything at {path!r}."
        raise SpecRefused(message, errors=[FieldError("simpler", "no_such_path", message)])
    return order


def inferred(study: Row, specs: Specs) -> Order:
    """The order of arms that differ in the strength of one regularizer and in nothing else: the stronger, the simpler.

    A strength is a number that may differ in a stack, changes nothing at 0, and is no operation on images.

    Raises:
        SpecRefused: they differ in something else; it has to be asked for.
    """
    paths = _differing(study.arms)
    if len(paths) == 1 and len({arm["name"] for arm in study.arms}) == 1 and _is_strength(paths[0], specs):
        return Order(paths[0], "desc", inferred=True)
    message = (
        "Which arm is simpler is not known: they differ in more than the strength of one regularizer. Name what "
        "decides: path:desc where a larger number is simpler (simpler=regularizers.0.strength:desc), path:asc where a "
        "smaller one is (simpler=model.hidden.0:asc)."
    )
    known = [f"{path}:{direction}" for path in paths for direction in ("desc", "asc")]
    raise SpecRefused(message, errors=[FieldError("simpler", "no_order", message, known)])


def _differing(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """The paths of the grid whose values are not the same in all arms."""
    paths = dict.fromkeys(path for arm in arms for path in arm["values"])
    return [path for path in paths if len({json.dumps(arm["values"].get(path)) for arm in arms}) > 1]


def _is_strength(path: str, specs: Specs) -> bool:
    steps = steps_of(path)
    if len(steps) != 3 or steps[0] != "regularizers":
        return False
    kinds = {value_at(spec, f"/regularizers/{steps[1]}/kind") for spec in specs.values()}
    parts = [KINDS[kind] for kind in kinds]
    return len(parts) == 1 and not parts[0].ordered and (parts[0].neutral or {}).get(steps[2]) == 0
