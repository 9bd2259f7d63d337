"""Runs that are trained in the process of the tests, and what derives from them: the same bits, in one process."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings
from service.workers.jobs import Jobs
from tests.conftest import WORKER, submit
from tests.service.runs.teachers import distill, teachers
from worker.blob_store import BlobStore
from worker.engine.job import Job
from worker.engine.process_registry import ProcessRegistry
from worker.engine.teacher_logits import logits_of
from worker.engine.worker_context import WorkerContext
from worker.messages import Ended, Epoch, Message, Saved, Started, Train
from worker.ports import Claim
from worker.spec.datasets.uploaded import FOLDER
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow
EMBEDDED: dict[str, Any] = {
    "dataset": {
        "kind": "penguins",
        "train_size": 90,
        "validation_size": 30,
        "columns": {"category": {"encode": "embedding"}},
    },
    "model": {"kind": "mlp", "hidden": [8]},
    "optimizer": {"kind": "adam", "lr": 0.01},
    "batch_size": 30,
}


class Worker:
    """A worker without processes: it trains each run alone, and records what the engine reports at once."""

    def __init__(self, jobs: Jobs, settings: Settings, folder: Path) -> None:
        self._jobs = jobs
        self.claims: dict[str, Claim] = {}
        self.context = WorkerContext(
            datasets=settings.datasets,
            uploads=BlobStore(settings.datasets / FOLDER),
            checkpoints=BlobStore(settings.checkpoints),
            checkpoint_seconds=60,
            threads=1,
            device=torch.device("cpu"),
            processes=ProcessRegistry(folder / "processes"),
        )

    def train_all(self) -> None:
        """Train all queued runs, and those that they queue."""
        while claims := self._jobs.claim(WORKER, limit=1):
            (claim,) = claims
            self.claims[claim.run_id] = claim
            train = Train(claims=(claim,), max_runs=claim.stack_runs)
            Job(train, self.context, functools.partial(self._record, claim)).run()

    def _record(self, claim: Claim, report: Message) -> None:
        if isinstance(report, Started):
            self._jobs.started([claim], device=report.device, determinism_class=report.determinism_class)
        elif isinstance(report, Epoch):
            self._jobs.record([claim], report.measurements)
        elif isinstance(report, Saved):
            self._jobs.checkpointed([claim], report.checkpoints, report.weights)
        elif isinstance(report, Ended):
            self._jobs.finish([claim], report.outcomes)


@pytest.fixture
def settings(on_sqlite: Settings) -> Settings:
    """Bits do not depend on the database."""
    return on_sqlite


@pytest.fixture
def worker(jobs: Jobs, settings: Settings, tmp_path: Path) -> Worker:
    return Worker(jobs, settings, tmp_path)


def digests(runs: Runs, reader: RunReader, run_id: str) -> dict[str, Any]:
    """Return the digest of all epochs of a run, and of its files of weights."""
    _, weights = reader.files(run_id)
    return {"epochs": runs.get(run_id).digest, **{file.at: file.sha256 for file in weights}}


def test_run_with_embedded_columns_is_verified_and_extended_to_the_bit(
    runs: Runs, reader: RunReader, worker: Worker
) -> None:
    short = submit(runs, **EMBEDDED, epochs=3)
    worker.train_all()
    assert runs.get(short).status == "succeeded", runs.get(short).error_message

    runs.verify(short)
    longer = runs.extend(short, 5, render=lambda run: run.id).resource_id
    whole = submit(runs, **EMBEDDED, epochs=5, reuse=False)
    worker.train_all()

    verification = reader.verification(short)
    assert (verification.outcome, verification.epoch, verification.reason) == ("match", 3, None)
    assert [file.epoch for file in worker.claims[longer].checkpoints] == [3]
    assert not worker.claims[whole].checkpoints
    assert digests(runs, reader, longer) == digests(runs, reader, whole)
    assert digests(runs, reader, longer)["last"] != digests(runs, reader, short)["last"]


def test_student_learns_from_the_averaged_weights_of_its_teacher(
    runs: Runs, reader: RunReader, worker: Worker, settings: Settings
) -> None:
    teacher = {"spec": {**EMBEDDED, "epochs": 2, "averaging": {"kind": "ema", "decay": 0.9}, "seed": 1}}
    students = {
        at: submit(runs, **EMBEDDED, epochs=2, regularizers=distill({**teacher, "at": at}))
        for at in ("last", "averaged")
    }
    worker.train_all()
    student = students["averaged"]
    assert {runs.get(one).status for one in students.values()} == {"succeeded"}
    assert runs.get(student).digest != runs.get(students["last"]).digest

    named = teachers(runs.get(student))[0]
    _, files = reader.files(named["run_id"])
    (averaged,) = [file for file in files if file.at == "averaged"]
    assert named["sha256"] == averaged.sha256
    spec = RunSpec.of(runs.get(student).spec)
    data, (one,) = worker.context.data([spec]), spec.teachers
    assert one.network is not None
    expected = logits_of(one.network, load_file(settings.checkpoints / averaged.path), data)
    assert torch.equal(data.teacher_logits[one.key], expected)

    runs.verify(student)
    worker.train_all()
    assert reader.verification(student).outcome == "match"
