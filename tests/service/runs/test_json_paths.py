"""Every path that exists in a spec is valid in filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from service.runs.json_paths import objection
from tests.laws.strategies import example, parsed
from worker.spec import losses, models, optimizers, regularizers, schedules, stops
from worker.spec.part import Part

FAMILIES: dict[str, Mapping[str, type[Part]]] = {
    "loss": losses.KINDS,
    "model": models.KINDS,
    "optimizer": optimizers.KINDS,
    "regularizers": regularizers.KINDS,
    "schedule": schedules.KINDS,
    "stop": stops.KINDS,
}
RUN: dict[str, Any] = {
    "dataset": {"kind": "digits", "fold": {"index": 1, "of": 5}},
    "model": {"kind": "mlp", "hidden": [8, 4], "init": {"kind": "normal", "std": 0.1}},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "warm_start": {"run_id": f"run_{'0' * 26}"},
}


def paths(value: Any, parents: tuple[str, ...] = ()) -> Iterator[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in inner:
        yield ".".join((*parents, str(step)))
        yield from paths(child, (*parents, str(step)))


@pytest.mark.parametrize(("field", "kind"), [(field, kind) for field, kinds in FAMILIES.items() for kind in kinds])
def test_every_path_of_a_spec_is_valid(field: str, kind: str) -> None:
    part = example(FAMILIES[field][kind])
    run = {**RUN, field: [part] if field in ("regularizers", "stop") else part}
    existing = list(paths(parsed(run).model_dump(mode="json")))
    assert f"{field}.kind" in existing or f"{field}.0.kind" in existing
    assert {path: objection("spec", path) for path in existing} == dict.fromkeys(existing)
