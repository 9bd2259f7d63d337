"""Studies and losses that the tests of routes share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from worker.ports import Outcome

DROPOUT = {"regularizers_add": [{"kind": "dropout", "p": 0.4}]}


STUDY = {"name": "does it help?", "base": BODY, "arms": {"plain": {}, "dropout": DROPOUT}, "seeds": 8}


def post(client: TestClient, **changed: Any) -> Any:
    return client.post("/v1/studies", json={**STUDY, **changed})


SUCCEEDED: dict[str, Any] = {"status": "succeeded"}
DIVERGED: dict[str, Any] = {"status": "failed", "code": "diverged", "message": "…"}
Losses = Callable[[str, int, int], float]
"""Losses by arm, seed and epoch; nan if a run diverges."""


def train(
    client: TestClient,
    work: Jobs,
    loss: Losses,
    epochs: int | Callable[[str], int] = 3,
    guessing: float | None = None,
) -> None:
    """Train everything that is queued; ``epochs`` may differ by arm, ``guessing`` is the baseline of every loss."""
    last = epochs if callable(epochs) else lambda arm: epochs
    queued = client.get("/v1/runs", params={"status": "queued", "fields": "id,arm,seed", "limit": 1000}).json()["data"]
    placed = {run["id"]: run for run in queued}
    while claims := work.claim(WORKER, limit=100):
        baseline = {} if guessing is None else {"train.loss": guessing, "val.loss": guessing}
        work.started(
            claims,
            device="cpu",
            determinism_class="test",
            baselines={claim.run_id: baseline for claim in claims},
        )
        outcomes = {claim.run_id: SUCCEEDED for claim in claims}
        for epoch in range(1, max(last(placed[claim.run_id]["arm"]) for claim in claims) + 1):
            measurements = []
            for claim in claims:
                if epoch > last(placed[claim.run_id]["arm"]):
                    continue
                value = loss(placed[claim.run_id]["arm"], placed[claim.run_id]["seed"], epoch)
                metrics: dict[str, Any] = {"train_loss": value / 2, "val_loss": value, "test_accuracy": 1 - value / 10}
                metrics |= {"test_loss": value, "val_accuracy": epoch / 10}
                measurements.append(measured(claim.run_id, epoch, **metrics))
                outcomes[claim.run_id] = DIVERGED if math.isnan(value) else outcomes[claim.run_id]
            work.record(claims, measurements)
        work.finish(claims, [Outcome(run_id=run_id, **outcome) for run_id, outcome in outcomes.items()])


def some_loss(arm: str, seed: int, epoch: int) -> float:
    """Return a loss that falls and rises, lower with dropout by a seed-dependent amount; in eighths, for exact sums."""
    return (16 + seed % 5 + abs(epoch - 2) - (3 + seed % 3) * arm.startswith("dropout")) / 8


def compare(client: TestClient, study: Any, **requests: Any) -> Any:
    answer = client.get(f"/v1/studies/{study['id']}/compare", params=requests)
    assert answer.status_code == 200, answer.text
    return answer.json()
