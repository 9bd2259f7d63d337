"""Ready bodies of well-known experiments: one JSON file each; the file's name is the preset's.

A file holds ``system``, ``title``, ``question``, ``base`` (a run's body) and ``arms``: by name, the fields that replace
those of the base; ``study``, where it is one, with what a study's body has besides those two; and ``published``, where
somebody has published figures of the same experiment.
"""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, Field

from service.catalog.errors import PresetNotFound


class Published(BaseModel):
    """What others found, for comparison with the same data only."""

    source: str
    metric: str
    values: dict[str, float] = Field(description="By the arm's name.")


class Preset(BaseModel):
    """An experiment that can be posted as it is, run by run."""

    object: str = "preset"
    name: str
    system: str = Field(description="The number of the system that it reproduces.")
    title: str
    question: str
    published: Published | None = None
    runs: dict[str, dict[str, Any]] = Field(description="A body for POST /v1/runs for each arm, by the arm's name.")
    study: dict[str, Any] | None = Field(default=None, description="A body for POST /v1/studies, where it takes one.")


@functools.cache
def presets() -> dict[str, Preset]:
    """Every preset by name."""
    found = {}
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        name, _, ending = file.name.rpartition(".")
        if ending == "json":
            told = json.loads(file.read_text("utf-8"))
            base, arms = told.pop("base"), told.pop("arms")
            runs = {arm: {**base, **changes, "name": f"{told['title']}: {arm}"} for arm, changes in arms.items()}
            if "study" in told:
                told["study"] = {"name": told["title"], "base": base, "arms": arms, **told["study"]}
            found[name] = Preset(name=name, runs=runs, **told)
    return found


def preset(name: str) -> Preset:
    """One preset.

    Raises:
        PresetNotFound: there is none of this name.
    """
    try:
        return presets()[name]
    except KeyError:
        raise PresetNotFound(f"There is no preset {name!r}; there are {', '.join(presets())}.") from None
