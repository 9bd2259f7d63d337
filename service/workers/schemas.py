"""Workers as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from service.http.timestamps import timestamp
from service.store.rows import Row


class WorkerView(BaseModel):
    """A live worker."""

    id: str
    object: Literal["worker"] = "worker"
    host: str
    pid: int
    devices: list[str]
    details: dict[str, Any]
    started_at: str
    seen_at: str

    @classmethod
    def of(cls, row: Row) -> WorkerView:
        """Return the view of a stored worker."""
        times = {"started_at": timestamp(row.started_at) or "", "seen_at": timestamp(row.seen_at) or ""}
        return cls(id=row.id, host=row.host, pid=row.pid, devices=row.devices, details=row.details, **times)


class WorkerList(BaseModel):
    """The live workers."""

    object: Literal["list"] = "list"
    data: list[WorkerView]
    has_more: bool = False
    next_cursor: str | None = None
