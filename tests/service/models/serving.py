"""A service with runs that were trained here, for the tests of models."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx2
from fastapi.testclient import TestClient
from safetensors.numpy import save

from service.app import create_app
from service.models.service import Models
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from tests.conftest import spec as spec_of
from tests.worker.spec.test_graph import trained, weights_of
from worker.ports import Claim, Outcome, WeightsFile
from worker.spec.datasets.digits import Digits

At = Literal["best", "last", "averaged"]


DIGITS = Digits.load(Path("/nowhere"))


ROW = [0] * 64
BASELINE = {"val.loss": 2.25, "val.accuracy": 0.1, "train.loss": 2.3}
"""Baseline of every run here."""


class Service(NamedTuple):
    """An application, its worker's side, and its files."""

    client: TestClient
    work: Jobs
    settings: Settings

    @property
    def pid(self) -> int:
        """Id of the sandboxed process."""
        result: int = self.client.app.state.services[Models].process_id  # type: ignore[attr-defined]
        return result

    def write(self, claim: Claim, at: At, epoch: int, content: bytes) -> WeightsFile:
        name = f"{claim.run_id}/{secrets.token_hex(4)}.safetensors"
        path = self.settings.checkpoints / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        return WeightsFile(at=at, epoch=epoch, path=name, sha256=sha256, bytes=len(content))

    def begin(self, **changes: Any) -> Claim:
        """Start to train a run, and record one epoch."""
        answer = self.client.post("/v1/runs?reuse=false", json=body(**changes))
        assert answer.status_code == 201, answer.text
        (claim,) = self.work.claim(WORKER, limit=1)
        self.work.started([claim], device="cpu", determinism_class="cpu/test", baselines={claim.run_id: BASELINE})
        self.record(claim, 1)
        return claim

    def record(self, claim: Claim, epoch: int) -> None:
        losses: dict[str, Any] = {"train_loss": 1 / epoch, "train_loss_eval": 0.9 / epoch}
        losses["val_loss"] = 1 + (epoch - 2) ** 2 / 9
        self.work.record([claim], [measured(claim.run_id, epoch, **losses)])

    def keep(self, claim: Claim, *ats: At, content: bytes | None = None, epoch: int = 2) -> bytes:
        content = content or weights(**claim.spec)
        files = tuple(self.write(claim, at, epoch, content) for at in ats)
        self.work.checkpointed([claim], {}, {claim.run_id: files})
        return content

    def finished(self, **changes: Any) -> str:
        """Train a run to its end, with weights."""
        claim = self.begin(**changes)
        for epoch in (2, 3):
            self.record(claim, epoch)
        self.keep(claim, "best", "last")
        self.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])
        return claim.run_id

    def predict(self, run_id: str, sent: Any, **params: str) -> httpx2.Response:
        return self.client.post(f"/v1/runs/{run_id}/predict", json=sent, params=params)


def weights(**spec: Any) -> bytes:
    """Return the file that a worker writes for this spec's model."""
    return save(weights_of(trained(spec_of(**spec))))


def serving(settings: Settings) -> Iterator[Service]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        engine = open_engine(settings)
        yield Service(client, Jobs(engine, settings), settings)
        engine.dispose()
