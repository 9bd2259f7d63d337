"""Prefixes: finished runs of fewer epochs, which a new run continues instead of training their epochs again.

The epochs of both are equal to the bit if their trajectory keys are. The new run must not have a stop rule that the
other one lacks, because it might end the new run earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.runs.queries import epochs, files
from service.runs.queries import runs as rows
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.run import RunSpec


def find(connection: sa.Connection, columns: Sequence[Mapping[str, Any]], *, owner: str | None) -> dict[str, Row]:
    """Return the longest prefix (of ``owner``) of each new run that has one, by reuse key."""
    eligible = [row for row in columns if row["status"] == "queued"]
    keys = list(dict.fromkeys(row["trajectory_key"] for row in eligible))
    candidates = rows.finished_prefixes(connection, keys, owner=owner)
    chosen = {
        row["reuse_key"]: next((one for one in candidates.get(row["trajectory_key"], ()) if _is_prefix(one, row)), None)
        for row in eligible
    }
    return {key: row for key, row in chosen.items() if row is not None}


def _is_prefix(finished: Row, new: Mapping[str, Any]) -> bool:
    rules = finished.spec["stop"]
    few_rules = all(rule in rules for rule in new["spec"]["stop"])
    return finished.epoch <= new["epochs"] and few_rules and RunSpec.of(finished.spec).continues_after(finished.epoch)


def copy_progress(connection: sa.Connection, row: Row, run_id: str) -> list[NewEvent]:
    """Copy epochs and checkpoints of the run in ``row`` to the queued run ``run_id``, and return its epoch events."""
    trained = row.reused_from or row.id
    epochs.copy(connection, trained, run_id)
    files.share_progress(connection, trained, run_id)
    names = ("epoch", "best", "baseline", "digest", "determinism_class", "revision")
    values = {name: getattr(row, name) for name in names}
    changed = rows.change(connection, run_id, "queued", {**values, "last": row.last, "extends": row.id})
    assert changed, f"{run_id} was just created and yet changed"
    return [NewEvent(run_id, "epoch", epoch=e.epoch) for e in epochs.of_run(connection, run_id)]
