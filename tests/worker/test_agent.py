"""The agent with a real training process and a job source that misbehaves."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests import warm
from tests.conftest import WORKER, spec
from tests.patience import eventually, scaled
from worker.agent import Agent
from worker.agent_settings import AgentSettings
from worker.messages import Idle, Leave, Message, Started, Train
from worker.ports import (
    Checkpoint,
    Claim,
    Measurement,
    Note,
    Order,
    Outcome,
    SourceUnavailable,
    WeightsFile,
    WorkerInfo,
)

pytestmark = pytest.mark.slow


@dataclass
class Source:
    """A job source in memory that can be away for a number of calls, or for good."""

    queue: list[list[Claim]] = field(default_factory=list)
    recorded: dict[str, list[int]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    released: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    away: dict[str, int] = field(default_factory=dict)
    """Calls that fail from now on, by method."""

    def answer(self, method: str) -> None:
        if self.away.get(method, 0) > 0:
            self.away[method] -= 1
            raise SourceUnavailable(f"{method} is away")

    def register(self, worker: WorkerInfo) -> None:
        self.answer("register")

    def close(self, worker: WorkerInfo) -> None:
        self.answer("close")

    def claim(self, worker: WorkerInfo, *, limit: int) -> Sequence[Claim]:
        self.answer("claim")
        return self.queue.pop(0) if self.queue else ()

    def started(self, claims: Sequence[Claim], **promise: object) -> set[str]:
        return self.lost & {claim.run_id for claim in claims}

    def orders(self, claims: Sequence[Claim]) -> Mapping[str, Order]:
        return {claim.run_id: "lost" if claim.run_id in self.lost else "go" for claim in claims}

    def heartbeat(self, worker: WorkerInfo, claims: Sequence[Claim]) -> Mapping[str, Order]:
        self.answer("heartbeat")
        return self.orders(claims)

    def record(self, claims: Sequence[Claim], measurements: Sequence[Measurement]) -> set[str]:
        self.answer("record")
        for m in measurements:
            if m.run_id not in self.lost:
                self.recorded.setdefault(m.run_id, []).append(m.epoch)
        return self.lost & {m.run_id for m in measurements}

    def checkpointed(
        self,
        claims: Sequence[Claim],
        checkpoints: Mapping[str, Checkpoint],
        weights: Mapping[str, Sequence[WeightsFile]],
    ) -> Sequence[str]:
        return ()

    def note(self, claims: Sequence[Claim], note: Note) -> None:
        self.notes += [(run_id, note.text) for run_id in note.run_ids]

    def finish(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> set[str]:
        self.answer("finish")
        self.outcomes |= {outcome.run_id: outcome for outcome in outcomes}
        return set()

    def release(self, claims: Sequence[Claim], *, failed: bool) -> None:
        self.released += [(claim.run_id, failed) for claim in claims]


def claim(name: str, epochs: int = 3) -> Claim:
    run = spec(epochs=epochs, seed=len(name))
    return Claim(run_id=name, token=name, attempt=1, spec=run.model_dump(mode="json"))


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start training processes as forks."""
    monkeypatch.setattr(subprocess, "Popen", warm.Popen)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def settings(tmp_path: Path) -> AgentSettings:
    return AgentSettings(
        datasets=tmp_path,
        checkpoints=tmp_path / "checkpoints",
        checkpoint_seconds=0.2,
        heartbeat_seconds=0.1,
        lease_seconds=scaled(2.0),
        poll_seconds=0.05,
        stack_limit=4,
        threads=1,
        device="cpu",
    )


@pytest.fixture
def agent(source: Source, settings: AgentSettings) -> Iterator[Agent]:
    created = Agent(source, WORKER, settings)
    thread = threading.Thread(target=created.run)
    thread.start()
    yield created
    created.stop()
    thread.join(scaled(30))
    assert not thread.is_alive()


def trainer_of(agent: Agent) -> int:
    return int(eventually(lambda: agent._trainer).pid)


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_brief_outage_of_the_source_loses_no_epoch(agent: Agent, source: Source) -> None:
    source.away = {"record": 3, "finish": 2}
    source.queue.append([claim("a"), claim("bb")])
    eventually(lambda: len(source.outcomes) == 2)
    assert source.recorded == {"a": [1, 2, 3], "bb": [1, 2, 3]}
    assert {outcome.status for outcome in source.outcomes.values()} == {"succeeded"}


def test_lost_run_leaves_and_its_peers_continue(agent: Agent, source: Source) -> None:
    source.queue.append([claim("mine", 400), claim("lost", 400)])
    eventually(lambda: len(source.recorded.get("lost", ())) > 2)
    source.lost.add("lost")
    eventually(lambda: "mine" in source.outcomes)
    assert source.recorded["mine"] == list(range(1, 401))
    assert len(source.recorded["lost"]) < 400
    assert "lost" not in source.outcomes


def test_training_ends_before_unrenewed_leases_expire(agent: Agent, settings: AgentSettings, source: Source) -> None:
    source.queue.append([claim("fenced", 100_000)])
    eventually(lambda: len(source.recorded.get("fenced", ())) > 2)
    first, began = trainer_of(agent), time.monotonic()
    source.away["heartbeat"] = 10**9
    eventually(lambda: ended(first), 5)
    assert time.monotonic() - began < scaled(settings.lease_seconds)
    eventually(lambda: source.released == [("fenced", True)])
    source.away.clear()
    source.queue.append([claim("next")])
    eventually(lambda: "next" in source.outcomes)


def test_runs_of_a_dead_training_process_are_released_as_failed(agent: Agent, source: Source) -> None:
    source.queue.append([claim("victim", 100_000)])
    eventually(lambda: source.recorded.get("victim"))
    os.kill(trainer_of(agent), signal.SIGKILL)
    eventually(lambda: source.released == [("victim", True)])


def test_training_process_that_dies_idle_is_replaced(agent: Agent, source: Source) -> None:
    source.queue.append([claim("first")])
    eventually(lambda: "first" in source.outcomes)
    first = trainer_of(agent)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: trainer_of(agent) != first)
    source.queue.append([claim("second")])
    eventually(lambda: "second" in source.outcomes)
    assert source.released == []


def test_long_outage_of_the_source_costs_the_leases_but_not_the_worker(agent: Agent, source: Source) -> None:
    source.away["record"] = 10**9
    source.queue.append([claim("abandoned", 5)])
    first = trainer_of(agent)
    eventually(lambda: ended(first), 10)
    source.away.clear()
    source.queue.append([claim("later")])
    eventually(lambda: "later" in source.outcomes)


def test_stopped_agent_saves_and_releases_its_runs(agent: Agent, source: Source, tmp_path: Path) -> None:
    source.queue.append([claim("stopped", 100_000)])
    eventually(lambda: len(source.recorded.get("stopped", ())) > 3)
    agent.stop()
    eventually(lambda: source.released)
    assert source.released == [("stopped", False)]
    (newest,) = sorted((tmp_path / "checkpoints/stopped").iterdir())[-1:]
    assert int(newest.stem[-6:]) == source.recorded["stopped"][-1]


def test_damaged_checkpoint_is_skipped_for_the_previous_one(agent: Agent, source: Source, tmp_path: Path) -> None:
    source.queue.append([claim("damaged", 4)])
    eventually(lambda: "damaged" in source.outcomes)
    *_, last = sorted((tmp_path / "checkpoints/damaged").iterdir())  # a slow machine also saves between the epochs
    good = Checkpoint(epoch=4, path=f"damaged/{last.name}", sha256="0" * 64, bytes=1, digest="d")
    again = claim("damaged", 4)
    source.recorded.clear()
    source.outcomes.clear()
    source.queue.append([Claim(**{**again.__dict__, "checkpoints": (good,), "attempt": 2})])
    eventually(lambda: "damaged" in source.outcomes)
    assert source.recorded == {"damaged": [1, 2, 3, 4]}


def test_agent_with_an_idle_limit_ends_after_its_work(source: Source, settings: AgentSettings) -> None:
    source.queue.append([claim("one")])
    Agent(source, WORKER, replace(settings, idle_seconds=0.0)).run()
    assert source.outcomes["one"].status == "succeeded"


def test_order_that_arrives_before_training_is_sent_after_it(
    source: Source, settings: AgentSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Message] = []

    class FakeTrainer:
        alive = True

        def __init__(self, options: Sequence[str], news: queue.Queue[Message | None]) -> None:
            self._news = news

        def send(self, message: Message) -> None:
            if isinstance(message, Train):
                early._obey({"early": "cancel"})
            sent.append(message)
            if isinstance(message, Train):
                self._news.put(Started(run_ids=("early",), device="cpu", determinism_class="any"))
                self._news.put(Idle())

    def started(claims: Sequence[Claim], **promise: object) -> set[str]:
        early._obey({"early": "cancel"})
        early._obey({"early": "cancel"})
        return set()

    monkeypatch.setattr("worker.agent.Trainer", FakeTrainer)
    monkeypatch.setattr(source, "started", started)
    source.queue.append([claim("early")])
    early = Agent(source, WORKER, settings)
    early._work_once()
    assert isinstance(sent[0], Train)
    assert sent[1:] == [Leave(run_ids=("early",), status="cancelled")]
