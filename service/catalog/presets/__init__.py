"""Ready bodies of well-known experiments, one JSON file for each, which is named like the preset.

A file contains ``system``, ``title``, ``question``, ``base`` (a run's body) and ``arms`` (by name, the fields that
replace those of the base). Optional are ``study``, with the other fields of a study's body, and ``published``, with
published figures of the same experiment.
"""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, Field

from service.catalog.errors import PresetNotFound


class Published(BaseModel):
    """Published figures; compare them only with runs on the same data."""

    source: str
    metric: str
    values: dict[str, float] = Field(description="Figures by arm.")


class Preset(BaseModel):
    """An experiment that is ready to be posted."""

    object: str = "preset"
    name: str
    system: str = Field(description="Number of the system that the preset reproduces.")
    title: str
    question: str
    published: Published | None = None
    runs: dict[str, dict[str, Any]] = Field(description="Bodies for POST /v1/runs, by arm.")
    study: dict[str, Any] | None = Field(
        default=None, description="A body for POST /v1/studies, if the preset is a study."
    )


@functools.cache
def presets() -> dict[str, Preset]:
    """Return every preset by name."""
    by_name = {}
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        name, _, ending = file.name.rpartition(".")
        if ending == "json":
            fields = json.loads(file.read_text("utf-8"))
            base, arms = fields.pop("base"), fields.pop("arms")
            runs = {arm: {**base, **changes, "name": f"{fields['title']}: {arm}"} for arm, changes in arms.items()}
            if "study" in fields:
                fields["study"] = {"name": fields["title"], "base": base, "arms": arms, **fields["study"]}
            by_name[name] = Preset(name=name, runs=runs, **fields)
    return by_name


def preset(name: str) -> Preset:
    """Return one preset.

    Raises:
        PresetNotFound: No preset has this name.
    """
    try:
        return presets()[name]
    except KeyError:
        raise PresetNotFound(f"Unknown preset {name!r}. Known: {', '.join(presets())}.") from None
