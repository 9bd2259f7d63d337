"""Teachers and students for the tests of distillation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.runs.reader import RunReader
from service.runs.run import Run
from service.runs.service import Runs
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured, submit
from worker.ports import Claim, Outcome, WeightsFile

BIG = body(model={"kind": "mlp", "hidden": [24]}, seed=1)


def distill(*teachers: Mapping[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [{"kind": "distillation", "teachers": list(teachers), **fields}]


def end(jobs: Jobs, claim: Claim, status: Any = "succeeded", *, sha: str = "a") -> None:
    """Finish a run with a status; a successful one records an epoch and weights first."""
    jobs.started([claim], device="cpu", determinism_class="cpu/test")
    if status == "succeeded":
        jobs.record([claim], [measured(claim.run_id, 1)])
        files = [
            WeightsFile(at=at, epoch=1, path=f"{claim.run_id}/{at}", sha256=sha * 64, bytes=5)
            for at in ("best", "last")
        ]
        jobs.checkpointed([claim], {}, {claim.run_id: files})
    code = "out_of_memory" if status == "failed" else None
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status=status, code=code, message="…")])


def finished(runs: Runs, jobs: Jobs, *, sha: str = "a", **changes: Any) -> str:
    run_id = submit(runs, reuse=False, **{**BIG, **changes})
    (claim,) = jobs.claim(WORKER, limit=1)
    assert claim.run_id == run_id
    end(jobs, claim, sha=sha)
    return run_id


def teachers(run: Run) -> list[dict[str, Any]]:
    specs: list[dict[str, Any]] = run.spec["regularizers"][0]["teachers"]
    return specs


def event_types(reader: RunReader, run_id: str) -> list[str]:
    return [event.type for event in reader.events(run_id)]
