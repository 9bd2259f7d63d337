"""Request bodies of reproductions."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from service.http.bodies import BodyModel
from service.reproductions.definition import Scale


class StartBody(BodyModel):
    """How to start a reproduction."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"scale": "quick"}]})

    scale: Scale = Field(default="quick", description="`quick`: minutes on one core; `full`: nearer to the source.")
