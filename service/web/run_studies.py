"""The study that some runs would be: if they are replicates of several arms over the same seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.runs.differences import differences
from service.runs.run import Run

MAX_NAME = 100
"""Characters of an arm's name that is made of its differences."""
Spec = Mapping[str, Any]


def study_of(runs: Sequence[Run]) -> dict[str, Any] | None:
    """Return the body of a study with exactly these runs, which reuses their results.

    Returns None if the runs are not two or more arms, each with the same seeds.
    """
    arms: dict[str, list[Run]] = {}
    for run in runs:
        arms.setdefault(json.dumps(_without_seed(run.spec), sort_keys=True), []).append(run)
    seeds = [sorted(run.seed for run in of_arm) for of_arm in arms.values()]
    if len(arms) < 2 or any(one != seeds[0] or len(set(one)) < len(one) for one in seeds):
        return None
    firsts = [of_arm[0] for of_arm in arms.values()]
    specs = [_without_seed(run.spec) for run in firsts]
    names = _names(firsts, specs)
    patches = [merge_patch(specs[0], spec) for spec in specs]
    return {"base": specs[0], "arms": dict(zip(names, patches, strict=True)), "seeds": seeds[0]}


def merge_patch(source: Spec, target: Spec) -> dict[str, Any]:
    """Return the merge patch (RFC 7396) that turns ``source`` into ``target``."""
    patch: dict[str, Any] = {name: None for name in source if target.get(name) is None and source[name] is not None}
    for name, value in target.items():
        before = source.get(name)
        if value is None or value == before:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            patch[name] = merge_patch(before, value)
        else:
            patch[name] = value
    return patch


def _without_seed(spec: Spec) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name != "seed"}


def _names(runs: Sequence[Run], specs: Sequence[Spec]) -> list[str]:
    """Return a name for each arm: those of the runs' arms, or what differs between the arms."""
    arms = [run.arm or "" for run in runs]
    if all(arms) and len(set(arms)) == len(arms):
        return arms
    rows = differences(specs)
    names = [
        ", ".join(f"{row.path.rpartition('.')[2]}={row.values[i]}" for row in rows)[:MAX_NAME] for i in range(len(runs))
    ]
    return names if len(set(names)) == len(names) else [f"arm {i}" for i in range(1, len(runs) + 1)]
