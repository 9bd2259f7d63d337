"""Followers get every event of their run once, and waiting costs no queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.http import tailer as module
from service.http.tailer import StreamEvent, Tailer
from service.runs.service import Runs
from service.store.tables import epoch
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from tests.patience import scaled


class Log:
    """An event log in memory."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.reads = 0

    def add(self, *run_ids: str) -> None:
        for run_id in run_ids:
            self.events.append(StreamEvent(len(self.events) + 1, run_id, "local", "epoch", b""))

    def last(self) -> int:
        return len(self.events)

    def after(self, last: int, limit: int) -> list[StreamEvent]:
        self.reads += 1
        return self.events[last : last + limit]


def watched(work: Callable[[Tailer, Log], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        log = Log()
        tailer = Tailer(log.last, log.after)
        tailer.start()
        try:
            async with asyncio.timeout(scaled(20)):
                await work(tailer, log)
        finally:
            tailer.close()

    asyncio.run(main())


def test_follower_gets_only_new_events_of_its_run() -> None:
    async def work(tailer: Tailer, log: Log) -> None:
        log.add("a", "b")
        async with tailer.follow("a") as mine, tailer.follow(None) as every:
            log.add("b", "a", "b", "a")
            received_events: list[int] = []
            while len(received_events) < 2:
                received_events += [event.id for event in await mine.news(5)]
            assert received_events == [4, 6]
            received: list[int] = []
            while len(received) < 4:
                received += [event.id for event in await every.news(5)]
            assert received == [3, 4, 5, 6]
        async with tailer.follow("b") as late:
            log.add("b")
            assert [event.id for event in await late.news(5)] == [7], "what was before is history"

    watched(work)


def test_followers_wake_only_for_their_run_and_the_log_is_read_once() -> None:
    async def work(tailer: Tailer, log: Log) -> None:
        async with tailer.follow("quiet") as quiet:
            followers = [tailer.follow("busy") for _ in range(50)]
            entered = [await one.__aenter__() for one in followers]
            log.add("busy")
            assert [len(await one.news(5)) for one in entered] == [1] * 50
            assert log.reads == 1
            assert not await quiet.news(0.2)
            for one in followers:
                await one.__aexit__(None, None, None)

    watched(work)


def test_follower_that_is_too_slow_is_marked_as_missing_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNREAD", 3)

    async def work(tailer: Tailer, log: Log) -> None:
        async with tailer.follow("a") as slow:
            log.add(*["a"] * 5)
            while not slow.missed:
                await asyncio.sleep(0.01)
            assert [event.id for event in await slow.news(5)] == [1, 2, 3]

    watched(work)


def test_shutdown_wakes_all_followers() -> None:
    async def work(tailer: Tailer, log: Log) -> None:
        async with tailer.follow("a") as one:
            asyncio.get_running_loop().call_later(0.05, tailer.close)
            assert not await one.news(60)
            assert tailer.closed

    watched(work)


def test_polling_with_an_etag_does_not_read_the_history(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.record([claim], [measured(run_id, 1)])
    url = f"/v1/runs/{run_id}/history"
    tag = client.get(url).headers["etag"]
    statements: list[str] = []
    engine = client.app.state.services[Runs]._engine  # type: ignore[attr-defined]
    sa.event.listen(engine, "before_cursor_execute", lambda *messages: statements.append(messages[2]))
    for _ in range(5):
        assert client.get(url, headers={"if-none-match": tag}).status_code == 304
    about_epochs = f"FROM {epoch.name}"
    assert statements
    assert not [one for one in statements if about_epochs in one]
    work.record([claim], [measured(run_id, 2)])
    assert client.get(url, headers={"if-none-match": tag}).status_code == 200
    assert [one for one in statements if about_epochs in one], "and a change is read"
