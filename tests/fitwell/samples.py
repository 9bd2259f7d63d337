"""JSON of the server, for tests without one."""

from __future__ import annotations

from typing import Any

RUN: dict[str, Any] = {
    "id": "run_1", "status": "running", "terminal": False, "name": None, "labels": {}, "spec": {}, "spec_hash": "",
    "reused_from": None, "seed": 0,
    "progress": {"epoch": 1, "epochs": 9, "eta_seconds": None}, "best": None, "last": {},
    "error": None, "waiting_reason": None, "created_at": "", "finished_at": None, "a_new_field": [1],
}  # fmt: skip
