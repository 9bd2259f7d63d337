"""Verifications: a run is trained anew, and every bit of it compared by the chained digests of its epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from service.runs import states
from service.runs.errors import NotMeasured, TransitionRefused
from service.runs.queries import epochs
from service.runs.queries import runs as rows
from service.store.rows import Row

Outcome = Literal["pending", "match", "differs", "not_comparable"]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What came of training ``run_id`` once more, as the run ``by``."""

    run_id: str
    by: str
    outcome: Outcome
    epoch: int
    """Of the second training, so far."""
    first_difference: int | None = None
    """The first epoch whose bits differ."""
    reason: str | None = None
    """Why the two cannot be compared."""


def check(row: Row) -> None:
    """Refuse to verify what has no result.

    Raises:
        TransitionRefused: the run has not come to its end.
    """
    if row.status != "succeeded" and row.error_code != "diverged":
        raise TransitionRefused(f"A run that is {row.status!r} cannot be verified; one that succeeded or diverged can.")


def find(connection: sa.Connection, row: Row) -> Verification | None:
    """The newest verification of the run in ``row``, or of the one whose result it took over."""
    trained = rows.by_id(connection, row.reused_from) if row.reused_from else row
    again = rows.newest_verifying(connection, row.reused_from or row.id)
    if trained is None or again is None:
        return None
    outcome, epoch, reason = _compared(connection, trained, again)
    return Verification(
        run_id=row.id, by=again.id, outcome=outcome, epoch=again.epoch, first_difference=epoch, reason=reason
    )


def found(connection: sa.Connection, row: Row) -> Verification:
    """The same.

    Raises:
        NotMeasured: there is none.
    """
    verification = find(connection, row)
    if verification is None:
        raise NotMeasured(f"{row.id} was never verified; POST /v1/runs/{row.id}/verify does it.")
    return verification


def _compared(connection: sa.Connection, trained: Row, again: Row) -> tuple[Outcome, int | None, str | None]:
    """The outcome, the first epoch that differs, and why they cannot be compared."""
    if again.status not in states.TERMINAL:
        return "pending", None, None
    if again.status != "succeeded" and again.error_code != "diverged":
        how = f"failed ({again.error_code})" if again.status == "failed" else again.status
        return "not_comparable", None, f"The second training {how}."
    classes = (trained.determinism_class, again.determinism_class)
    if "none" in classes:
        return "not_comparable", None, "For a model of this shape no bits are promised (determinism class none)."
    if classes[0] != classes[1]:
        told = f"They were trained on different machines or versions: {classes[0]} and {classes[1]}."
        return "not_comparable", None, told
    epoch = epochs.first_difference(connection, trained.id, again.id)
    return ("match", None, None) if epoch is None else ("differs", epoch, None)
