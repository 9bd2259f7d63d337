"""The definition of a reproduction: a source, its claims, and the studies that test them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.reproductions.rules import AnyRule

Scale = Literal["quick", "full"]
"""``quick``: minutes on one core. ``full``: as near to the source as a small machine allows."""
SCALES: tuple[Scale, ...] = get_args(Scale)


class Source(BaseModel):
    """The publication that claims are from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    authors: str
    year: int | None = Field(default=None, description="Null if it is not dated.")
    title: str
    venue: str = Field(default="", description="Where it was published: journal, conference, pages.")
    url: str | None = None


class Claim(BaseModel):
    """A claim of the source, and the rule that decides it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    statement: str = Field(description="What is claimed, as it is tested here.")
    expected: str = Field(description="The source's figure or direction.")
    place: str = Field(default="", description="Where in the source: section, figure or table.")
    rule: AnyRule = Field(description="Fixed before any run.")
    scales: tuple[Scale, ...] = Field(default=SCALES, description="The scales that test the claim.")


class Reproduction(BaseModel):
    """A source's claims, and for each scale the studies that test them: bodies for POST /v1/studies by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    question: str
    source: Source
    deviations: str = Field(description="How the studies differ from the source's experiments.")
    studies: Mapping[Scale, Mapping[str, Mapping[str, Any]]]
    claims: Mapping[str, Claim]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if set(self.studies) != set(SCALES) or not all(self.studies.values()):
            raise ValueError("A reproduction has studies for the scales quick and full.")
        for name, claim in self.claims.items():
            for scale in claim.scales:
                study = self.studies[scale].get(claim.rule.study)
                if study is None:
                    raise ValueError(f"The claim {name!r} names the study {claim.rule.study!r}, which {scale} lacks.")
                sequential = "tune" in study or isinstance(study.get("seeds"), Mapping)
                if claim.rule.needs_intervals and sequential:
                    raise ValueError(f"The claim {name!r} needs a study with a fixed number of seeds.")
        if not all(self.claims_at(scale) for scale in SCALES):
            raise ValueError("Every scale tests a claim.")
        return self

    def claims_at(self, scale: Scale) -> dict[str, Claim]:
        """Return the claims that a scale tests, by name."""
        return {name: claim for name, claim in self.claims.items() if scale in claim.scales}

    def digest(self, scale: Scale) -> str:
        """Return the SHA-256 of a scale's studies and claims; results belong to exactly these."""
        claims = {name: claim.model_dump(mode="json") for name, claim in self.claims_at(scale).items()}
        text = json.dumps({"studies": self.studies[scale], "claims": claims}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def study_body(self, scale: Scale, study: str) -> dict[str, Any]:
        """Return the body of a study, with a name for display."""
        return {"name": f"{self.title}: {study} ({scale})", **self.studies[scale][study]}
