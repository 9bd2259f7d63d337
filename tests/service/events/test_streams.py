"""The stream of all events, for callers that cannot see all runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from service.callers import Caller
from service.events import routes as events
from service.http.tailer import Tailer
from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings
from tests.conftest import submit
from tests.patience import scaled

pytestmark = pytest.mark.slow


def caller(owner: str) -> Caller:
    return Caller(owner=owner, scopes=("write",), shares_runs=False)


async def messages(stream: AsyncIterator[bytes]) -> str:
    """Return the run of the next event."""
    async for message in stream:
        for line in message.decode().splitlines():
            if line.startswith("data:"):
                run_id: str = json.loads(line.removeprefix("data:"))["run_id"]
                return run_id
    raise AssertionError("the stream ended")


def test_events_of_other_owners_are_neither_sent_nor_read_again(engine: sa.Engine, settings: Settings) -> None:
    runs, reader = Runs(engine, settings), RunReader(engine, settings)
    requests: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *one: requests.append(one[2]))

    async def main() -> None:
        tailer = Tailer(
            reader.last_event_id,
            lambda last, limit: [events.stream_event(event) for event in reader.events(None, after=last, limit=limit)],
        )
        tailer.start()
        stream = events._stream(reader.on_behalf_of(caller("bob")), tailer, None, 0)
        mine = await asyncio.to_thread(submit, runs.on_behalf_of(caller("bob")), seed=1)
        assert await messages(stream) == mine
        waiting = asyncio.create_task(messages(stream))
        for seed in range(5):
            await asyncio.to_thread(submit, runs.on_behalf_of(caller("alice")), seed=seed)
            await asyncio.sleep(0.1)
        assert not waiting.done()
        last = await asyncio.to_thread(submit, runs.on_behalf_of(caller("bob")), seed=9)
        assert await asyncio.wait_for(waiting, scaled(10)) == last
        tailer.close()

    asyncio.run(main())
    of_bob = [one for one in requests if "FROM event" in one and "run.owner =" in one]
    assert len(of_bob) <= 2, "the log is read for a stream when it begins, and not for every event of others"


def test_stream_of_a_run_ends_although_its_last_event_precedes_the_first_id(
    engine: sa.Engine, settings: Settings
) -> None:
    runs, reader = Runs(engine, settings), RunReader(engine, settings)
    run_id = submit(runs)

    async def remaining_events(after: int, *, cancel: bool) -> list[bytes]:
        tailer = Tailer(
            reader.last_event_id,
            lambda last, limit: [events.stream_event(event) for event in reader.events(None, after=last, limit=limit)],
        )
        tailer.start()

        async def read() -> list[bytes]:
            return [message async for message in events._stream(reader, tailer, run_id, after) if b"data:" in message]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.3)
        if cancel:
            await asyncio.to_thread(runs.act, run_id, "cancel")
        messages = await asyncio.wait_for(reading, scaled(10))
        tailer.close()
        return messages

    assert asyncio.run(remaining_events(10**9, cancel=True)) == []
    assert asyncio.run(remaining_events(10**9, cancel=False)) == []
    assert asyncio.run(remaining_events(reader.last_event_id(), cancel=False)) == []
