"""From a study's description to its runs: arms × datasets × grid (or samples, or trials) × folds × seeds.

An arm is a merge patch of the base (RFC 7396: objects are merged, arrays replaced whole, null removes);
``regularizers_add`` in it appends. One of several datasets is a merge patch of the base's ``dataset``, applied before
the arm's. Grid paths point into the arm's resolved spec, in which defaults are filled in.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from service.errors import FieldError, SpecRefused
from service.pointers import pointer_to, steps_of
from service.runs.patches import ADDED, patched, sets
from service.runs.submission.new_run import NewRun
from worker.spec.folds import Fold

DATASET = "dataset"
"""The path of an arm's values that names its dataset."""
DIGITS = 4
"""Significant digits of a sampled number, so that an arm's id names it exactly."""
Point = Mapping[str, Any]
"""A value for each path of the grid."""


class Space(Protocol):
    """The distribution of one path's values in random sampling."""

    def draw(self, random: random.Random) -> Any:
        """Return a random value."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The description of a study's runs."""

    base: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, Any]]
    grid: Mapping[str, Sequence[Any]]
    samples: Sequence[Point]
    seeds: Sequence[int]
    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Merge patches of the base's dataset, by name; empty if every arm has one dataset."""
    folds: int | None = None
    splits: Sequence[int] | None = None
    """Values of split_seed that each seed is trained on; None for the spec's own."""
    split_follows_seed: bool = False
    """Whether each run's split_seed is its seed."""
    trials: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    """Points of each arm, instead of the grid or samples that all arms have in common."""

    @property
    def arm_count(self) -> int:
        """Number of arms with all grid points, computed without expanding them."""
        if self.trials:
            return sum(map(len, self.trials.values()))
        points = len(self.samples) or math.prod(len(values) for values in self.grid.values())
        return len(self.arms) * max(1, len(self.datasets)) * points

    @property
    def bases(self) -> list[tuple[Point, Mapping[str, Any]]]:
        """The base on every dataset, each with the value that names the dataset."""
        if not self.datasets:
            return [({}, self.base)]
        return [({DATASET: name}, patched(self.base, {DATASET: patch})) for name, patch in self.datasets.items()]

    @property
    def varies_split(self) -> bool:
        """Whether runs of an arm have different splits."""
        return self.split_follows_seed or self.splits is not None

    @property
    def replicates(self) -> list[tuple[int, Fold | None, int | None]]:
        """The seed, fold and split of each of an arm's runs, seed by seed, or split by split if seeds are crossed."""
        if self.split_follows_seed:
            return [(seed, None, seed) for seed in self.seeds]
        if self.splits is not None:
            return [(seed, None, split) for split in self.splits for seed in self.seeds]
        folds = [Fold(index=index, of=self.folds) for index in range(self.folds)] if self.folds else [None]
        return [(seed, fold, None) for seed, fold in itertools.product(self.seeds, folds)]


@dataclass(frozen=True)
class Arm:
    """One arm with its grid values, and its run without seed and fold."""

    id: str
    name: str
    values: Point
    run: NewRun

    def at(self, seed: int, fold: Fold | None = None, split: int | None = None) -> NewRun:
        """Return the arm's run with this seed and split, validated on this fold."""
        spec = self.run.spec.at(seed)
        if split is not None:
            spec = spec.model_copy(update={"dataset": spec.dataset.model_copy(update={"split_seed": split})})
        if fold is not None:
            spec = spec.model_copy(update={"dataset": spec.dataset.held_out(fold)})
        return replace(self.run, spec=spec)


def path_steps(path: str) -> list[str]:
    """Return the steps of a dotted path (``optimizer.lr``) or a JSON pointer (``/optimizer/lr``)."""
    if path.startswith("/"):
        return steps_of(path)
    return path.split(".")


def value_at(body: Any, path: str) -> Any:
    """Return the value at ``path``.

    Raises:
        KeyError: ``body`` has no such path.
    """
    for step in path_steps(path):
        if isinstance(body, Mapping) and step in body:
            body = body[step]
        elif isinstance(body, Sequence) and not isinstance(body, str) and step in map(str, range(len(body))):
            body = body[int(step)]
        else:
            raise KeyError(path)
    return body


def replace_at(body: Any, steps: Sequence[str], value: Any) -> Any:
    """Return ``body`` with ``value`` at the existing place that ``steps`` lead to."""
    if not steps:
        return value
    first, *others = steps
    if isinstance(body, Mapping):
        return {**body, first: replace_at(body[first], others, value)}
    changed = list(body)
    changed[int(first)] = replace_at(changed[int(first)], others, value)
    return changed


def expand(plan: Plan, parse: Callable[[Mapping[str, Any]], NewRun]) -> list[Arm]:
    """Return every arm in order; ``parse`` turns a body into a run.

    Raises:
        SpecRefused: An arm is not a valid run, lacks a path of the grid, or occurs twice. Lists every such place.
    """
    arms: list[Arm] = []
    errors: dict[str, FieldError] = {}
    for name, (dataset, base) in itertools.product(plan.arms, plan.bases):
        try:
            plain = Arm(name, name, dataset, parse(patched(base, plan.arms[name])))
            arms += list(_grid_arms(plan, plain, parse))
        except SpecRefused as refusal:
            for error in refusal.errors:
                located = _located(error, plan, name, dataset)
                errors.setdefault(located.pointer + located.message, located)
    for name, count in Counter(arm.id for arm in arms).items():
        if count == 1:
            continue
        message = f"Two arms would have the id {name!r}: remove the repeated grid value, or rename one of the arms."
        errors[name] = FieldError("/grid", "arm_twice", message)
    if errors:
        unique = list(errors.values())
        raise SpecRefused(
            f"{unique[0].pointer}: {unique[0].message}" if len(unique) == 1 else f"The study has {len(unique)} errors.",
            errors=unique,
        )
    return arms


def _grid_arms(plan: Plan, plain: Arm, parse: Callable[[Mapping[str, Any]], NewRun]) -> Iterator[Arm]:
    """Yield the arm at every point of the grid, or the arm alone without a grid."""
    points: Sequence[Point] = (
        plan.trials.get(plain.name)
        or plan.samples
        or [dict(zip(plan.grid, values, strict=True)) for values in itertools.product(*plan.grid.values())]
    )
    resolved = plain.run.spec.model_dump(mode="json")
    for path in points[0] if points else ():
        try:
            value_at(resolved, path)
        except KeyError:
            message = (
                f"Arm {plain.name!r} has no field {path!r}. The deepest existing part of it has: "
                f"{_siblings(resolved, path)}."
            )
            raise SpecRefused.at(pointer_to("grid", path), "no_such_path", message) from None
    for point in points:
        run = plain.run
        if point:
            body = _at_point(plain.name, resolved, point)
            try:
                run = replace(plain.run, spec=parse(body).spec)
            except SpecRefused as refusal:
                raise _in_grid(refusal, point) from refusal
        values = {**plain.values, **point}
        yield Arm(arm_id(plain.name, values), plain.name, values, run)


def _at_point(name: str, body: Any, point: Point) -> Any:
    """Return the body of the arm ``name`` with all values of a point.

    Raises:
        SpecRefused: A value replaces the part that has the field of another path.
    """
    for (path, earlier), (later, steps) in itertools.combinations([(one, path_steps(one)) for one in point], 2):
        if earlier[: len(steps)] == steps:
            message = f"The values of {later!r} replace those of {path!r}. Leave one of the two out."
            raise SpecRefused.at(pointer_to("grid", path), "path_replaced", message)
    for path, value in point.items():
        try:
            value_at(body, path)
        except KeyError:
            message = (
                f"Arm {name!r} has no field {path!r} at the point {_assignments(point)}, because another value of the "
                "point replaces the part that has it. Put the field into those values instead."
            )
            raise SpecRefused.at(pointer_to("grid", path), "no_such_path", message) from None
        body = replace_at(body, path_steps(path), value)
    return body


def arm_id(name: str, values: Point) -> str:
    """Return the id of an arm: its name and its grid values."""
    assignments = _assignments(values)
    return f"{name} [{assignments}]" if assignments else name


def _assignments(values: Point) -> str:
    return ", ".join(f"{path}={_formatted(value)}" for path, value in values.items())


def _formatted(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _siblings(body: Any, path: str) -> str:
    """Return the names below the deepest step of ``path`` that ``body`` has."""
    node = body
    for step in path_steps(path):
        try:
            node = value_at(node, pointer_to(step))
        except KeyError:
            break
    names = list(node) if isinstance(node, Mapping) else range(len(node)) if isinstance(node, list) else ["(a value)"]
    return ", ".join(map(str, names)) or "(nothing)"


def _in_grid(refusal: SpecRefused, point: Point) -> SpecRefused:
    """Return the refusal with errors in values of the grid pointing to the grid."""
    by_pointer = {pointer_to(*path_steps(path)): pointer_to("grid", path) for path in point}
    errors = [replace(error, pointer=by_pointer.get(error.pointer, error.pointer)) for error in refusal.errors]
    return SpecRefused(refusal.detail, errors=errors)


def in_study(refusal: SpecRefused, arm: Arm, plan: Plan) -> SpecRefused:
    """Return the refusal of an arm's run with pointers into the study's body."""
    point = {path: value for path, value in arm.values.items() if path != DATASET or not plan.datasets}
    errors = [_located(error, plan, arm.name, arm.values) for error in _in_grid(refusal, point).errors]
    detail = f"{errors[0].pointer}: {errors[0].message}" if len(errors) == 1 else refusal.detail
    return SpecRefused(detail, errors=errors, headers=refusal.headers)


def _located(error: FieldError, plan: Plan, name: str, values: Point) -> FieldError:
    """Return the error with its pointer into the study's body: the grid, or the arm, dataset or base with the field."""
    if error.pointer.startswith("/grid/"):
        return error
    patch, remedy = plan.arms[name], ""
    top, *below = steps_of(error.pointer) or [""]
    if top in patch or (top == "regularizers" and ADDED in patch):
        pointer, subject = pointer_to("arms", name) + error.pointer, f"Arm {name!r}: "
        if error.code == "extra_forbidden" and not sets(patch, [top, *below]):
            remedy = f' Objects are merged with those of the base: add "{below[-1]}": null to remove its field.'
    elif top == DATASET and plan.datasets and not _is_common(plan, str(values[DATASET]), below):
        pointer, subject = pointer_to("datasets", str(values[DATASET]), *below), f"Dataset {values[DATASET]!r}: "
    else:
        pointer, subject = "/base" + error.pointer, ""
    return FieldError(pointer, error.code, subject + error.message + remedy, error.allowed)


def _is_common(plan: Plan, dataset: str, steps: Sequence[str]) -> bool:
    """Return whether the base, and not this dataset, sets the field of the dataset that ``steps`` lead to."""
    common = plan.base.get(DATASET)
    first = next(iter(steps), None)
    return isinstance(common, Mapping) and first in common and first not in plan.datasets[dataset]


def rounded(value: float) -> float:
    """Round a sampled number so that an arm's id can name it exactly."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value
