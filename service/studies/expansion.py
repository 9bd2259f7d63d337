"""From a study's description to its runs: arms × grid (or samples) × folds × seeds.

An arm is a merge patch of the base (RFC 7396: objects are merged, arrays replaced whole, null removes);
``regularizers_add`` in it appends. Grid paths are places in the resolved spec of the arm: fields with defaults count.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from service.errors import FieldError, SpecRefused
from service.runs.patches import ADDED, patched
from service.runs.submission.review import NewRun
from worker.spec.folds import Fold

DIGITS = 4
"""Significant digits of a sampled number, so that an arm's id names it exactly."""
Point = Mapping[str, Any]
"""A value for every path of a grid."""


class Space(Protocol):
    """What random sampling draws from for one path."""

    def draw(self, random: random.Random) -> Any:
        """A value."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study asks for."""

    base: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, Any]]
    grid: Mapping[str, Sequence[Any]]
    samples: Sequence[Point]
    seeds: Sequence[int]
    folds: int | None = None

    @property
    def arm_count(self) -> int:
        """How many arms that are, with every point of the grid; without making them."""
        return len(self.arms) * (len(self.samples) or math.prod(len(values) for values in self.grid.values()))

    @property
    def places(self) -> list[tuple[int, Fold | None]]:
        """Where every arm is trained: each seed, and in it each fold."""
        folds = [Fold(index=index, of=self.folds) for index in range(self.folds)] if self.folds else [None]
        return list(itertools.product(self.seeds, folds))


@dataclass(frozen=True)
class Arm:
    """One arm with its grid values, and the run it stands for, at whatever seed and on whatever fold."""

    id: str
    name: str
    values: Point
    run: NewRun

    def at(self, seed: int, fold: Fold | None = None) -> NewRun:
        """The arm's run with this seed, validated on this fold."""
        spec = self.run.spec.at(seed)
        if fold is not None:
            spec = spec.model_copy(update={"dataset": spec.dataset.held_out(fold)})
        return replace(self.run, spec=spec)


def steps_of(path: str) -> list[str]:
    """The steps of a dotted path (``optimizer.lr``) or a JSON pointer (``/optimizer/lr``)."""
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".")


def value_at(body: Any, path: str) -> Any:
    """What is at ``path``.

    Raises:
        KeyError: nothing is.
    """
    for step in steps_of(path):
        if isinstance(body, Mapping) and step in body:
            body = body[step]
        elif isinstance(body, Sequence) and not isinstance(body, str) and step in map(str, range(len(body))):
            body = body[int(step)]
        else:
            raise KeyError(path)
    return body


def replaced(body: Any, steps: Sequence[str], value: Any) -> Any:
    """``body`` with ``value`` at the place that ``steps`` lead to, which must be there."""
    if not steps:
        return value
    first, *others = steps
    if isinstance(body, Mapping):
        return {**body, first: replaced(body[first], others, value)}
    changed = list(body)
    changed[int(first)] = replaced(changed[int(first)], others, value)
    return changed


def arms_of(plan: Plan, parse: Callable[[Mapping[str, Any]], NewRun]) -> list[Arm]:
    """Every arm, in order; ``parse`` makes a run of a body.

    Raises:
        SpecRefused: an arm is not a valid run, or has nothing at a path of the grid; every place is named.
    """
    arms: list[Arm] = []
    errors: dict[str, FieldError] = {}
    for name, patch in plan.arms.items():
        try:
            body = patched(plan.base, patch)
            plain = parse(body)
            arms += list(_over_grid(plan, name, plain, parse))
        except SpecRefused as refusal:
            for error in refusal.errors:
                placed = _placed(error, name, patch)
                errors.setdefault(placed.pointer + placed.message, placed)
    for name, count in Counter(arm.id for arm in arms).items():
        if count == 1:
            continue
        message = f"Two arms would be {name!r}: a value of the grid is there twice, or an arm is named like another."
        errors[name] = FieldError("/grid", "arm_twice", message)
    if errors:
        found = list(errors.values())
        raise SpecRefused(
            f"{found[0].pointer}: {found[0].message}" if len(found) == 1 else f"{len(found)} places are wrong.",
            errors=found,
        )
    return arms


def _over_grid(plan: Plan, name: str, plain: NewRun, parse: Callable[[Mapping[str, Any]], NewRun]) -> Iterator[Arm]:
    """The arm at every point of the grid, or the arm alone."""
    points: Sequence[Point] = plan.samples or [
        dict(zip(plan.grid, values, strict=True)) for values in itertools.product(*plan.grid.values())
    ]
    resolved = plain.spec.model_dump(mode="json")
    for path in points[0] if points else ():
        try:
            value_at(resolved, path)
        except KeyError:
            message = f"Arm {name!r} has nothing at {path!r}. Where the path ends, there is: {_near(resolved, path)}."
            raise SpecRefused(message, errors=[FieldError(f"/grid/{path}", "no_such_path", message)]) from None
    for point in points:
        run = plain
        if point:
            body = resolved
            for path, value in point.items():
                body = replaced(body, steps_of(path), value)
            try:
                run = replace(plain, spec=parse(body).spec)
            except SpecRefused as refusal:
                raise _in_grid(refusal, point) from refusal
        yield Arm(arm_id(name, point), name, point, run)


def arm_id(name: str, values: Point) -> str:
    """The arm's name and its grid values."""
    told = ", ".join(f"{path}={_short(value)}" for path, value in values.items())
    return f"{name} [{told}]" if told else name


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _near(body: Any, path: str) -> str:
    """What is there at the deepest step that ``path`` shares with ``body``."""
    here = body
    for step in steps_of(path):
        try:
            here = value_at(here, f"/{step}")
        except KeyError:
            break
    names = list(here) if isinstance(here, Mapping) else range(len(here)) if isinstance(here, list) else ["(a value)"]
    return ", ".join(map(str, names)) or "(nothing)"


def _in_grid(refusal: SpecRefused, point: Point) -> SpecRefused:
    """The refusal, with the places that the grid filled named as the grid's."""
    by_pointer = {"/" + "/".join(steps_of(path)): path for path in point}
    errors = [
        FieldError(f"/grid/{by_pointer[error.pointer]}", error.code, error.message, error.allowed)
        if error.pointer in by_pointer
        else error
        for error in refusal.errors
    ]
    return SpecRefused(refusal.detail, errors=errors)


def in_study(refusal: SpecRefused, arm: Arm, patch: Mapping[str, Any]) -> SpecRefused:
    """The refusal of an arm's run, its places named as they are in the study's body."""
    errors = [_placed(error, arm.name, patch) for error in _in_grid(refusal, arm.values).errors]
    detail = f"{errors[0].pointer}: {errors[0].message}" if len(errors) == 1 else refusal.detail
    return SpecRefused(detail, errors=errors, headers=refusal.headers)


def _placed(error: FieldError, name: str, patch: Mapping[str, Any]) -> FieldError:
    """The error at its place in the study's body: in the grid, in the arm that brought the field, or in the base."""
    if error.pointer.startswith("/grid/"):
        return error
    first = error.pointer.split("/")[1] if error.pointer else ""
    brought = first in patch or (first == "regularizers" and ADDED in patch)
    escaped = name.replace("~", "~0").replace("/", "~1")
    pointer = f"/arms/{escaped}{error.pointer}" if brought else f"/base{error.pointer}"
    message = f"Arm {name!r}: {error.message}" if brought else error.message
    return FieldError(pointer, error.code, message, error.allowed)


def rounded(value: float) -> float:
    """A number that an arm's id can name exactly."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value
