"""The order of a study's arms by simplicity: by requested paths, or by the one strength that differs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.errors import SpecRefused
from service.store.rows import Row
from service.studies.expansion import path_steps, value_at
from worker.spec.regularizers import KINDS

Specs = Mapping[str, Mapping[str, Any]]
"""By arm, the spec of one of its runs."""


@dataclass(frozen=True)
class Order:
    """A path to a number, and which end of it is simpler."""

    path: str
    direction: Literal["asc", "desc"]
    inferred: bool = False

    def rank(self, spec: Mapping[str, Any]) -> float:
        """Return the spec's rank, larger being simpler; a spec without the path counts as less than every number."""
        try:
            value = value_at(spec, self.path)
        except KeyError:
            return math.inf if self.direction == "asc" else -math.inf
        if isinstance(value, bool) or not isinstance(value, int | float):
            message = f"An arm has {value!r} at {self.path!r}; only numbers can be ordered."
            raise SpecRefused.at("simpler", "no_number", message)
        return -value if self.direction == "asc" else value


def parse_order(text: str, specs: Specs) -> Order:
    """Return the order that ``path:desc`` (larger is simpler) or ``path:asc`` (smaller is simpler) names.

    Raises:
        SpecRefused: The text is not of this form, or no arm has a number at the path.
    """
    path, _, direction = text.rpartition(":")
    if not path or direction not in ("asc", "desc"):
        message = f"Invalid order {text!r}. Give a path and asc or desc, such as regularizers.0.strength:desc."
        raise SpecRefused.at("simpler", "no_order", message)
    order = Order(path, "asc" if direction == "asc" else "desc")
    if not any(math.isfinite(order.rank(spec)) for spec in specs.values()):
        raise SpecRefused.at("simpler", "no_such_path", f"No arm of the study has the field {path!r}.")
    return order


def strength_orders(paths: Sequence[str], specs: Specs) -> list[Order]:
    """Return the orders by those ``paths`` that are strengths of regularizers: stronger is simpler."""
    return [Order(path, "desc", inferred=True) for path in paths if _is_strength(path, specs)]


def infer_order(study: Row, specs: Specs) -> Order:
    """Return the order of arms that differ only in the strength of one regularizer: stronger is simpler.

    A strength is a number that may differ within a stack, has no effect at 0, and is not an operation on images.

    Raises:
        SpecRefused: The arms differ in something else, so the order must be requested.
    """
    paths = _differing(study.arms)
    if len(paths) == 1 and len({arm["name"] for arm in study.arms}) == 1 and _is_strength(paths[0], specs):
        return Order(paths[0], "desc", inferred=True)
    message = (
        "Cannot infer which arm is simpler: the arms differ in more than the strength of one regularizer. Pass "
        "simpler=PATH:desc if a larger number is simpler (regularizers.0.strength:desc), or simpler=PATH:asc if a "
        "smaller number is (model.hidden.0:asc)."
    )
    orders = [f"{path}:{direction}" for path in paths for direction in ("desc", "asc")]
    raise SpecRefused.at("simpler", "no_order", message, allowed=orders)


def _differing(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths of the grid whose values differ between arms."""
    paths = dict.fromkeys(path for arm in arms for path in arm["values"])
    return [path for path in paths if len({json.dumps(arm["values"].get(path)) for arm in arms}) > 1]


def _is_strength(path: str, specs: Specs) -> bool:
    steps = path_steps(path)
    if len(steps) != 3 or steps[0] != "regularizers":
        return False
    kinds = {value_at(spec, f"/regularizers/{steps[1]}/kind") for spec in specs.values()}
    parts = [KINDS[kind] for kind in kinds]
    return len(parts) == 1 and not parts[0].ordered and (parts[0].neutral or {}).get(steps[2]) == 0
