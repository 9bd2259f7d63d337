"""Every place that a spec has can be asked for."""

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
    "model": {"kind": "mlp", "hidden": [8, 4]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "warm_start": {"run_id": f"run_{'0' * 26}"},
}


def places(value: Any, way: tuple[str, ...] = ()) -> Iterator[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield ".".join((*way, str(step)))
        yield from places(one, (*way, str(step)))


@pytest.mark.parametrize(("field", "kind"), [(field, kind) for field, kinds in FAMILIES.items() for kind in kinds])
def test_no_place_of_a_spec_is_refused(field: str, kind: str) -> None:
    part = example(FAMILIES[field][kind])
    run = {**RUN, field: [part] if field in ("regularizers", "stop") else part}
    found = list(places(parsed(run).model_dump(mode="json")))
    assert f"{field}.kind" in found or f"{field}.0.kind" in found
    assert {place: objection("spec", place) for place in found} == dict.fromkeys(found)
