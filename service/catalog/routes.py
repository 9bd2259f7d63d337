"""Routes that describe this server: the catalog of parts, the schemas of bodies, presets, and its capabilities."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.catalog.editor_schemas import run_schema, study_schema
from service.catalog.errors import PresetNotFound
from service.catalog.presets import Preset, preset, presets
from service.errors import SpecRefused, Unavailable
from service.http.dependencies import SettingsDep
from service.http.problems import problems
from service.http.routing import Route
from service.runs.dependencies import RunsDep
from service.workers.schemas import WorkerView
from worker.spec.families.built_in import BuiltIn
from worker.spec.families.regularizer import Regularizer
from worker.spec.fetched import Fetched
from worker.spec.keys import ENGINE_VERSION
from worker.spec.part import Part

router = APIRouter(prefix="/v1", tags=["catalog"], route_class=Route)
FAMILIES = (
    "datasets",
    "preparations",
    "models",
    "layers",
    "losses",
    "regularizers",
    "optimizers",
    "schedules",
    "stops",
)
LIMITS = (
    "max_body_bytes",
    "max_parameters",
    "max_run_bytes",
    "max_run_seconds",
    "max_predict_rows",
    "stack_limit",
    "max_upload_bytes",
    "max_dataset_bytes",
)


class CatalogPart(BaseModel):
    """A part that a spec can name."""

    kind: str
    summary: str
    equation: str
    reference: str
    per_run: list[str]
    neutral: dict[str, float] | None
    missing: str | None
    json_schema: dict[str, Any]


class Catalog(BaseModel):
    """Every part, by family."""

    object: str = "catalog"
    datasets: list[CatalogPart]
    preparations: list[CatalogPart] = Field(default=[], description="Of a table's columns, in `dataset.columns`.")
    models: list[CatalogPart]
    layers: list[CatalogPart] = Field(default=[], description="Of the model `sequential`.")
    losses: list[CatalogPart]
    regularizers: list[CatalogPart]
    optimizers: list[CatalogPart]
    schedules: list[CatalogPart]
    stops: list[CatalogPart]


class PresetList(BaseModel):
    """All presets."""

    object: str = "list"
    data: list[Preset]
    has_more: bool = False
    next_cursor: str | None = None


class Capabilities(BaseModel):
    """The limits of this server, and the devices of its workers."""

    object: str = "capabilities"
    version: str
    engine_version: str
    limits: dict[str, float]
    devices: list[str]
    workers: list[WorkerView]


def parts_of(family: str) -> Mapping[str, type[Part]]:
    """Return the parts of a family, by kind."""
    kinds: Mapping[str, type[Part]] = importlib.import_module(f"worker.spec.{family}").KINDS
    return kinds


@functools.cache
def _description(part: type[Part]) -> dict[str, Any]:
    neutral = getattr(part, "neutral", None) if issubclass(part, Regularizer) else None
    return {
        "kind": part.model_fields["kind"].default,
        "summary": inspect.getdoc(part) or "",
        "equation": part.equation,
        "reference": part.reference,
        "per_run": sorted(part.per_run()),
        "neutral": neutral,
        "json_schema": _schema(part),
    }


def _schema(part: type[Part]) -> dict[str, Any]:
    """Return the JSON schema of a part, whose fields are at the top even if it may contain itself."""
    schema = part.model_json_schema()
    reference = schema.pop("$ref", None)
    return schema if reference is None else {**schema["$defs"][reference.rpartition("/")[2]], **schema}


@router.get("/catalog", operation_id="get_catalog", responses=problems(SpecRefused))
def get_catalog(settings: SettingsDep) -> Catalog:
    """Return every part that a spec can name, with its schema, equation and reference."""

    def view(part: type[Part]) -> CatalogPart:
        missing = part.missing(settings.datasets) if issubclass(part, BuiltIn | Fetched) else None
        return CatalogPart(**_description(part), missing=missing)

    return Catalog.model_validate({f: [view(part) for part in parts_of(f).values()] for f in FAMILIES})


@router.get("/schema/run.json", operation_id="get_run_schema", responses=problems(SpecRefused))
def get_run_schema() -> dict[str, Any]:
    """Return the JSON schema of a run's body, for editors."""
    return run_schema()


@router.get("/schema/study.json", operation_id="get_study_schema", responses=problems(SpecRefused))
def get_study_schema() -> dict[str, Any]:
    """Return the JSON schema of a study's body, for editors."""
    return study_schema()


@router.get("/presets", operation_id="list_presets", responses=problems(SpecRefused))
def list_presets() -> PresetList:
    """List well-known experiments as ready bodies."""
    return PresetList(data=list(presets().values()))


@router.get("/presets/{name}", operation_id="get_preset", responses=problems(PresetNotFound, SpecRefused))
def get_preset(name: str) -> Preset:
    """Return one preset."""
    return preset(name)


@router.get("/capabilities", operation_id="get_capabilities", responses=problems(SpecRefused, Unavailable))
def get_capabilities(runs: RunsDep, settings: SettingsDep) -> Capabilities:
    """Return the limits of this server, and the devices of its workers."""
    workers = [WorkerView.of(row) for row in runs.workers()]
    return Capabilities(
        version=version("fitwell"),
        engine_version=ENGINE_VERSION,
        limits={name: getattr(settings, name) for name in LIMITS},
        devices=sorted({device for worker in workers for device in worker.devices}),
        workers=workers,
    )
