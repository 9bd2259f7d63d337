"""Ready bodies of well-known experiments, one JSON file for each, which is named like the preset.

A file contains ``system``, ``title``, ``question``, ``results`` (a page of the documentation), ``base`` (a run's body),
``arms`` (by name, the fields that replace those of the base), and ``study``: the fields of a study's body that do not
follow from these, above all its metric and epoch. Optional is ``published``, with published figures of the same
experiment.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, Field

from service.catalog.errors import PresetNotFound
from service.runs.patches import difference

SEEDS = 8
"""Seeds of a study whose preset names no others. Six can decide between arms; more detect smaller differences."""


class Published(BaseModel):
    """Published figures; compare them only with runs on the same data."""

    source: str
    metric: str
    values: dict[str, float] = Field(description="Figures by arm.")


class Preset(BaseModel):
    """An experiment that is ready to be posted."""

    object: str = "preset"
    name: str
    system: str = Field(description="Number of the experiment; presets of one experiment have the same.")
    title: str
    question: str
    results: str = Field(
        default="", exclude_if=lambda page: not page, description="Page and section of the documentation with results."
    )
    published: Published | None = None
    runs: dict[str, dict[str, Any]] = Field(description="Bodies for POST /v1/runs, by arm.")
    study: dict[str, Any] | None = Field(
        default=None, description="A body for POST /v1/studies, which compares the runs over several seeds."
    )


@functools.cache
def presets() -> dict[str, Preset]:
    """Return every preset by name."""
    by_name = {}
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        name, _, ending = file.name.rpartition(".")
        if ending == "json":
            fields = json.loads(file.read_text("utf-8"))
            base, changes = fields.pop("base"), fields.pop("arms")
            bodies = {arm: {**base, **changed} for arm, changed in changes.items()}
            runs = {arm: {**body, "name": f"{fields['title']}: {arm}"} for arm, body in bodies.items()}
            study = {"name": fields["title"], **study_of(base, bodies, fields.pop("study"))}
            by_name[name] = Preset(name=name, runs=runs, study=study, **fields)
    return by_name


def study_of(base: Mapping[str, Any], runs: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a study that compares ``runs``, as patches of ``base``; those in ``own`` replace others."""
    repetitions = {} if own.keys() & {"seeds", "replicates"} else {"seeds": SEEDS}
    arms = {arm: difference(base, run) for arm, run in runs.items()}
    return {"base": dict(base), "arms": arms, **repetitions, **own}


def preset(name: str) -> Preset:
    """Return one preset.

    Raises:
        PresetNotFound: No preset has this name.
    """
    try:
        return presets()[name]
    except KeyError:
        raise PresetNotFound(f"Unknown preset {name!r}. Known: {', '.join(presets())}.") from None
