"""Endpoints, what happens to runs, and who tells of it, on both databases."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from service.runs.service import Runs
from service.settings import Settings
from service.webhooks.endpoint import NewEndpoint
from service.webhooks.outbox import Outbox
from service.webhooks.service import Endpoints
from service.workers.jobs import Jobs
from tests.conftest import WORKER, submit
from worker.ports import Outcome

Make = Callable[..., str]


@pytest.fixture
def endpoints(engine: sa.Engine, settings: Settings) -> Endpoints:
    return Endpoints(engine, settings)


@pytest.fixture
def outbox(engine: sa.Engine) -> Outbox:
    """Retries after 10 s, then after 20 s, then gives up; without chance."""

    class Never(random.Random):
        def random(self) -> float:
            return 0.0

    return Outbox(engine, schedule=(10.0, 20.0), rng=Never())


@pytest.fixture
def make(endpoints: Endpoints) -> Make:
    def make(url: str = "https://hooks.example/", **changed: Any) -> str:
        events = changed.pop("events", ["run.succeeded", "run.failed", "run.cancelled"])
        values = {"description": None, "study_id": None, "labels": {}, "enabled": True, **changed}
        new = NewEndpoint(url=url, events=events, **values)
        return endpoints.create(new, render=lambda one: one.id).resource_id

    return make


@pytest.fixture
def end(runs: Runs, jobs: Jobs) -> Callable[..., list[str]]:
    """Queues runs and ends them; their ids."""

    def end(count: int = 1, *, status: str = "succeeded", first_seed: int = 0) -> list[str]:
        ids = [submit(runs, seed=first_seed + number, reuse=False) for number in range(count)]
        while claims := jobs.claim(WORKER, limit=100):
            jobs.started(claims, device="cpu", determinism_class="test")
            jobs.finish(claims, [Outcome(run_id=claim.run_id, status=status) for claim in claims])  # type: ignore[arg-type]
        return ids

    return end
