"""Teachers in the spec of a student: runs, and the parts of them that determine their logits."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from worker.spec.canonical import sha256_of
from worker.spec.families.dataset import Normalize
from worker.spec.families.model import Precision
from worker.spec.models import AnyModel
from worker.spec.part import Spec
from worker.spec.patterns import RUN_ID, SHA256

if TYPE_CHECKING:
    from worker.spec.regularizers import AnyRegularizer
    from worker.spec.run import RunSpec


class TeacherNetwork(Spec):
    """The parts of a teacher's spec, besides its weights, that determine its logits."""

    model: AnyModel = Field(description="The teacher's model.")
    normalize: Normalize | None = Field(default=None, description="Shift and scale of its inputs.")
    precision: Precision = Field(default="float32", description="Precision of the products of its dense layers.")
    regularizers: tuple[AnyRegularizer, ...] = Field(
        default=(), max_length=32, description="Regularizers that also act in evaluation mode: the classic dropout."
    )

    @classmethod
    def of(cls, run: RunSpec) -> TeacherNetwork:
        """Return the network that ``run`` trains."""
        changing = tuple(part for part in run.regularizers if part.changes_evaluation)
        return cls(model=run.model, normalize=run.dataset.normalize, precision=run.precision, regularizers=changing)


class Teacher(Spec):
    """A run whose model teaches: an existing run, or one that is trained first while its students wait."""

    run_id: str | None = Field(
        default=None, pattern=RUN_ID, description="The run whose model teaches; students wait for it."
    )
    spec: RunSpec | None = Field(
        default=None, description="A run to train first. At submission it is created, and run_id names it."
    )
    at: Literal["best", "last", "averaged"] = Field(
        default="last", description="The model of its best or of its last epoch, or its averaged one."
    )
    sha256: str | None = Field(
        default=None, pattern=SHA256, description="SHA-256 of the weights; set once the run has finished."
    )
    network: TeacherNetwork | None = Field(default=None, description="The teacher's network; set from the run.")

    @model_validator(mode="after")
    def _one_source(self) -> Teacher:
        if (self.run_id is None) == (self.spec is None):
            raise ValueError("A teacher needs either run_id or spec")
        if self.spec is not None and self.sha256 is not None:
            raise ValueError("sha256 needs the run_id of the run that has the weights, not a spec")
        return self

    @functools.cached_property
    def key(self) -> str:
        """Digest of what determines the teacher's logits: its weights and its network."""
        return sha256_of(self.model_dump(mode="json", include={"sha256", "network"}))
