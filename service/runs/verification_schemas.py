"""Verifications as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.runs.verification import Outcome, Verification


class VerificationView(BaseModel):
    """Whether training a run again produced the same bits."""

    object: Literal["verification"] = "verification"
    run_id: str
    by: str = Field(description="The run that repeats the training; delete it to verify again.")
    outcome: Outcome
    epoch: int = Field(description="Epochs that the second training has completed.")
    first_difference: int | None = Field(description="The first epoch whose weights or measurements differ.")
    reason: str | None = Field(description="Why the two cannot be compared.")

    @classmethod
    def of(cls, verification: Verification) -> VerificationView:
        """Return the view of a verification."""
        return cls.model_validate(verification, from_attributes=True)
