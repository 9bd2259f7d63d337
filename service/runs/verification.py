"""Verification: a run is trained again, and the chained digests of its epochs are compared."""

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
    """The outcome of training ``run_id`` again as the run ``by``."""

    run_id: str
    by: str
    outcome: Outcome
    epoch: int
    """The last recorded epoch of the second training."""
    first_difference: int | None = None
    """The first epoch whose digests differ."""
    reason: str | None = None
    """Why the runs cannot be compared."""


def check(row: Row) -> None:
    """Refuse to verify a run without a result.

    Raises:
        TransitionRefused: The run has neither succeeded nor diverged.
    """
    if row.status != "succeeded" and row.error_code != "diverged":
        raise TransitionRefused(f"Cannot verify a run that is {row.status!r}; only runs that succeeded or diverged.")


def find(connection: sa.Connection, row: Row) -> Verification | None:
    """Return the newest verification of the run in ``row``, or of the run whose result it reuses; None without one."""
    trained = rows.by_id(connection, row.reused_from) if row.reused_from else row
    repeat = rows.newest_verification(connection, row.reused_from or row.id)
    if trained is None or repeat is None:
        return None
    outcome, epoch, reason = _compare(connection, trained, repeat)
    return Verification(
        run_id=row.id, by=repeat.id, outcome=outcome, epoch=repeat.epoch, first_difference=epoch, reason=reason
    )


def get(connection: sa.Connection, row: Row) -> Verification:
    """Return the newest verification.

    Raises:
        NotMeasured: The run was never verified.
    """
    verification = find(connection, row)
    if verification is None:
        raise NotMeasured(f"{row.id} has not been verified. Start a verification with POST /v1/runs/{row.id}/verify.")
    return verification


def _compare(connection: sa.Connection, trained: Row, repeat: Row) -> tuple[Outcome, int | None, str | None]:
    """Return the outcome, the first epoch that differs, and why the runs cannot be compared."""
    if repeat.status not in states.TERMINAL:
        return "pending", None, None
    if repeat.status != "succeeded" and repeat.error_code != "diverged":
        ending = f"failed ({repeat.error_code})" if repeat.status == "failed" else f"was {repeat.status}"
        return "not_comparable", None, f"The second training {ending}."
    classes = (trained.determinism_class, repeat.determinism_class)
    if "none" in classes:
        return "not_comparable", None, "Models of this shape are not bitwise reproducible (determinism class none)."
    if classes[0] != classes[1]:
        reason = f"The runs were trained on different machines or versions: {classes[0]} and {classes[1]}."
        return "not_comparable", None, reason
    epoch = epochs.first_difference(connection, trained.id, repeat.id)
    return ("match", None, None) if epoch is None else ("differs", epoch, None)
