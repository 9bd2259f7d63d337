"""A small reproduction of which some claims are true and some are false, by the losses that tests record."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rule import Rule
from service.reproductions.rules import Bound, Direction, Figure
from tests.conftest import BODY
from tests.service.studies.training import DROPOUT

NAME = "planted"
MISSING = "absent"


def claim(rule: Rule) -> Claim:
    return Claim.model_validate({"statement": "It helps.", "expected": "lower", "rule": rule.model_dump()})


def body(**changes: Any) -> dict[str, Any]:
    """Return a study of two arms."""
    return {
        "base": {**BODY, **changes}, "arms": {"plain": {}, "dropout": DROPOUT}, "seeds": 8, "metric": "test.loss",
        "at": "last",
    }  # fmt: skip


HELPS = {"study": "one", "arm": "dropout", "against": "plain", "metric": "test.loss"}
FIELDS: dict[str, Any] = {
    "title": "A planted reproduction",
    "question": "Does it help?",
    "source": Source(authors="A. Author", year=1999, title="On <planting>"),
    "deviations": "All losses are made up.",
    "studies": {
        "quick": {"one": body(), "other": body(batch_size=16)},
        "full": {"one": body(epochs=4)},
    },
    "claims": {
        "true": claim(Direction(**HELPS, direction="lower")),
        "false": claim(Direction(**HELPS, direction="higher")),
        "figure": claim(Figure(study="one", arm="plain", metric="test.loss", value=2.3, tolerance=0.5)),
        "wrong figure": claim(Figure(study="one", arm="plain", metric="test.loss", value=1.0, tolerance=0.1)),
        "bound": claim(Bound(study="one", arm="plain", metric="test.accuracy", direction="higher", bound=0.5)),
        "only quick": claim(Direction(**HELPS)).model_copy(update={"scales": ("quick",)}),
    },
}
PLANTED = Reproduction(**FIELDS)
ABSENT = PLANTED.model_copy(
    update={"studies": {scale: {"one": body(dataset={"kind": "mnist"})} for scale in ("quick", "full")}}
)
REGISTRY = {MISSING: ABSENT, NAME: PLANTED}
