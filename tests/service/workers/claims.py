"""Claims of one run."""

from __future__ import annotations

from service.workers.jobs import Jobs
from tests.conftest import WORKER
from worker.ports import Claim


def one(jobs: Jobs) -> Claim:
    (claim,) = jobs.claim(WORKER, limit=1)
    return claim
