"""What can be asked of a server: the parts of a spec, presets, and what its workers have."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from fitwell.requests import Plan, Request, place, read
from fitwell.sync_async import M, Resource, View, call


class Part(View):
    """A part that a spec can name: ``json_schema`` says which fields it has."""

    kind: str
    summary: str
    equation: str
    reference: str
    per_run: list[str]
    missing: str | None = None
    json_schema: dict[str, Any]


class Catalog(View):
    """Every part that a spec can name, by family."""

    datasets: list[Part]
    models: list[Part]
    losses: list[Part] = Field(default=[])
    regularizers: list[Part]
    optimizers: list[Part]
    schedules: list[Part]
    stops: list[Part]


class Preset(View):
    """A well-known experiment: bodies of runs by arm, and of a study where it takes one."""

    name: str
    system: str
    title: str
    question: str
    runs: dict[str, dict[str, Any]]
    study: dict[str, Any] | None


class Worker(View):
    """A worker that is alive."""

    id: str
    host: str
    pid: int
    devices: list[str]
    details: dict[str, Any]
    started_at: str
    seen_at: str


class Capabilities(View):
    """What a server takes, and what its workers have."""

    version: str
    engine_version: str
    limits: dict[str, float]
    devices: list[str]
    workers: list[Worker] = Field(default=[])


class Presets(Resource[M]):
    """Well-known experiments as ready bodies."""

    @call
    def list(self) -> Plan[list[Preset]]:
        """All of them."""
        found = yield from read(Request("GET", "/v1/presets"))
        return [Preset.model_validate(data) for data in found["data"]]

    @call
    def get(self, name: str) -> Plan[Preset]:
        """One of them: ``client.studies.create(**preset.study)``.

        Raises:
            PresetNotFound: there is none of this name.
        """
        return Preset.model_validate((yield from read(Request("GET", place("presets", name)))))
