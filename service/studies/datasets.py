"""The datasets of a study's arms, and the pairs of arms on one dataset."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from service.store.rows import Row
from service.studies.expansion import DATASET, arm_id, path_steps


class Placed(NamedTuple):
    """An arm without its dataset, and the name of the dataset; None if the study has one."""

    arm: str
    dataset: str | None


def placed_arms(study: Row) -> dict[str, Placed]:
    """Return every arm of a study apart from its dataset, by the arm's id.

    Datasets are those of the study's ``datasets``, or of a grid over ``dataset``.
    """
    datasets, placed = list[Any](), {}
    for arm in study.arms:
        others = {path: value for path, value in arm["values"].items() if path_steps(path) != [DATASET]}
        values = [value for path, value in arm["values"].items() if path_steps(path) == [DATASET]]
        placed[arm["id"]] = (arm_id(arm["name"], others), values)
        datasets += [value for value in values if value not in datasets]
    names = dict(zip(map(repr, datasets), _names(datasets), strict=True))
    return {arm: Placed(name, names[repr(values[0])] if values else None) for arm, (name, values) in placed.items()}


def pairs_within_datasets(study: Row, baseline: str | None) -> list[tuple[str, str]] | None:
    """Return the pairs of arms on the same dataset, each with its baseline; with all others if ``baseline`` is None.

    None if the study has no ``datasets``, so that any two arms can be compared.
    """
    if not study.request.get("datasets"):
        return None
    placed = placed_arms(study)
    together = [(b, a) for a, b in itertools.combinations(placed, 2) if placed[a].dataset == placed[b].dataset]
    if baseline is None:
        return together
    name = placed[baseline].arm
    baselines = {one.dataset: arm for arm, one in placed.items() if one.arm == name}
    return [(arm, baselines[one.dataset]) for arm, one in placed.items() if one.arm != name]


def _names(datasets: Sequence[Any]) -> list[str]:
    """Return a name for each dataset: its own, its kind, or its kind and fields if several have the kind."""
    kinds = [one.get("kind") if isinstance(one, Mapping) else one for one in datasets]
    return [
        str(kind) if kinds.count(kind) == 1 or not isinstance(one, Mapping) else _described(one)
        for one, kind in zip(datasets, kinds, strict=True)
    ]


def _described(dataset: Mapping[str, Any]) -> str:
    return arm_id(str(dataset.get("kind")), {name: value for name, value in dataset.items() if name != "kind"})
