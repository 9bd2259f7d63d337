"""Every series of a finished run in one piece: 1000 runs are compared by reading 1000 rows, not 60,000 epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from service.store.tables import epoch, series


def keep(connection: sa.Connection, run_id: str) -> None:
    """Write the recorded epochs of a run that has ended as series, in place of older ones."""
    columns = [epoch.c[name] for name in ("epoch", "metrics")]
    statement = sa.select(*columns).where(epoch.c.run_id == run_id).order_by(epoch.c.epoch)
    recorded = connection.execute(statement).all()
    connection.execute(sa.delete(series).where(series.c.run_id == run_id))
    rows = [
        {"run_id": run_id, "name": name, "first": recorded[0].epoch, "values": packed(recorded, name)}
        for name in dict.fromkeys(name for one in recorded for name in one.metrics)
    ]
    if rows:
        connection.execute(sa.insert(series), rows)


def packed(recorded: Sequence[sa.Row[Any]], name: str) -> bytes:
    """Little-endian doubles, one for each epoch; NaN where there is no finite value."""
    values = [one.metrics.get(name) for one in recorded]
    return np.array([np.nan if value is None else value for value in values], "<f8").tobytes()


def unpacked(row: sa.Row[Any]) -> NDArray[np.float64]:
    """The values from epoch 1 on."""
    values = np.frombuffer(row.values, "<f8")
    return values[1 - row.first :] if row.first < 1 else values
