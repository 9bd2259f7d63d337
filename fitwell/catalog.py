"""The server's catalog of parts, its presets and its capabilities."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from fitwell.requests import Flow, Request, api_path, fetch_json
from fitwell.sync_async import Resource, TransportT, View, call


class Part(View):
    """A part of a spec; ``json_schema`` describes its fields."""

    kind: str
    summary: str
    equation: str
    reference: str
    per_run: list[str]
    missing: str | None = None
    json_schema: dict[str, Any]


class Catalog(View):
    """All parts by family."""

    datasets: list[Part]
    preparations: list[Part] = Field(default=[])
    models: list[Part]
    layers: list[Part] = Field(default=[])
    losses: list[Part] = Field(default=[])
    regularizers: list[Part]
    optimizers: list[Part]
    schedules: list[Part]
    stops: list[Part]


class Preset(View):
    """A well-known experiment: specs of runs by arm, and of the study that compares them."""

    name: str
    system: str
    title: str
    question: str
    results: str = ""
    runs: dict[str, dict[str, Any]]
    study: dict[str, Any] | None


class Worker(View):
    """A live worker."""

    id: str
    host: str
    pid: int
    devices: list[str]
    details: dict[str, Any]
    started_at: str
    seen_at: str


class Capabilities(View):
    """Versions, limits and workers of a server."""

    version: str
    engine_version: str
    limits: dict[str, float]
    devices: list[str]
    workers: list[Worker] = Field(default=[])


class Presets(Resource[TransportT]):
    """The collection of presets: well-known experiments, ready to submit."""

    @call
    def list(self) -> Flow[list[Preset]]:
        """Return all presets."""
        response = yield from fetch_json(Request("GET", "/v1/presets"))
        return [Preset.model_validate(data) for data in response["data"]]

    @call
    def get(self, name: str) -> Flow[Preset]:
        """Return a preset, for ``client.studies.create(**preset.study)``.

        Raises:
            PresetNotFound: No preset has this name.
        """
        return Preset.model_validate((yield from fetch_json(Request("GET", api_path("presets", name)))))
