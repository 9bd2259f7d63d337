"""Orders that reach the training process before it starts a job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tests.conftest import spec
from tests.patience import scaled
from worker.engine.outcomes import LeaveStatus
from worker.engine.process import Process
from worker.engine.process_registry import ProcessRegistry
from worker.engine.worker_context import WorkerContext
from worker.messages import Ended, Epoch, Halt, Idle, Leave, Message, Ready, Train, read_report
from worker.ports import Claim
from worker.storage import opened


class Agent:
    """Both pipes of a process: sends ``orders`` before training can begin, and ``Halt`` when the process is idle."""

    def __init__(self, *orders: Message) -> None:
        self.reports: list[Any] = []
        self._orders = orders
        self._delivered = threading.Event()
        self._idle = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for order in self._orders:
            yield order.line()
        self._delivered.set()  # the process asks for the next line, so it has handled the last order
        self._idle.wait(scaled(60))
        yield Halt().line()
        threading.Event().wait()  # the end of the orders would end this process

    def write(self, line: bytes) -> None:
        report = read_report(line)
        if isinstance(report, Ready):
            assert self._delivered.wait(scaled(30))
        self.reports.append(report)
        if isinstance(report, Idle):
            self._idle.set()

    def flush(self) -> None:
        """Reports are lines in memory."""


@pytest.fixture
def context(tmp_path: Path) -> WorkerContext:
    return WorkerContext(
        datasets=tmp_path,
        uploads=opened(tmp_path / "uploads", None),
        checkpoints=opened(tmp_path / "checkpoints", None),
        checkpoint_seconds=60,
        threads=1,
        device=torch.device("cpu"),
        processes=ProcessRegistry(tmp_path / "processes"),
    )


def reports(context: WorkerContext, *orders: Message) -> list[Any]:
    agent = Agent(*orders)
    Process(agent, agent, context).run()  # type: ignore[arg-type]  # it only iterates and writes
    return agent.reports


def train(*run_ids: str) -> Train:
    run = spec(epochs=2).model_dump(mode="json")
    return Train(claims=tuple(Claim(run_id=i, token=i, attempt=1, spec=run) for i in run_ids), max_runs=2)


@pytest.mark.parametrize("status", get_args(LeaveStatus))
def test_run_that_leaves_before_training_begins_never_trains(context: WorkerContext, status: LeaveStatus) -> None:
    output = reports(context, train("leaver", "peer"), Leave(run_ids=("leaver",), status=status))
    trained = [m.run_id for report in output if isinstance(report, Epoch) for m in report.measurements]
    outcomes = {o.run_id: o.status for report in output if isinstance(report, Ended) for o in report.outcomes}
    expected = {"cancelled": "cancelled", "paused": "paused", "timed_out": "failed"}
    assert trained == ["peer", "peer"]
    assert outcomes == {"peer": "succeeded"} | ({"leaver": expected[status]} if status in expected else {})


def test_leave_without_a_job_does_not_apply_to_the_next_one(context: WorkerContext) -> None:
    output = reports(context, Leave(run_ids=("run",), status="paused"), train("run"))
    (outcome,) = [o for report in output if isinstance(report, Ended) for o in report.outcomes]
    assert outcome.status == "succeeded"
