"""What clients see of training a run once more."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.runs.verification import Outcome, Verification


class VerificationView(BaseModel):
    """Whether a second training gave the same bits."""

    object: Literal["verification"] = "verification"
    run_id: str
    by: str = Field(description="The run that trains it once more; delete it to be able to verify again.")
    outcome: Outcome
    epoch: int = Field(description="How far the second training has come.")
    first_difference: int | None = Field(description="The first epoch whose weights or measurements differ.")
    reason: str | None = Field(description="Why the two cannot be compared.")

    @classmethod
    def of(cls, verification: Verification) -> VerificationView:
        """The verification as it is shown."""
        return cls.model_validate(verification, from_attributes=True)
