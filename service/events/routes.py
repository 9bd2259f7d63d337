"""Routes of the event log: a page, or a stream of server-sent events that a cut does not hurt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import SpecRefused, Unavailable
from service.http.dependencies import TailerDep, only
from service.http.problems import problems
from service.http.tailer import StreamEvent, Tailer
from service.runs.dependencies import RunReaderDep
from service.runs.errors import RunNotFound
from service.runs.reader import RunReader
from service.runs.run import Event
from service.runs.schemas import EventList, EventView
from service.runs.states import TERMINAL

router = APIRouter(prefix="/v1", tags=["events"])
KEEP_ALIVE_SECONDS = 15.0
PAGE = 500
ENDS = frozenset(f"run.{status}" for status in TERMINAL)
After = Annotated[int, Query(ge=0, le=2**63 - 1, description="Only events behind this id.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
LastEventId = Annotated[str | None, Header(pattern=r"^\d{1,18}$", description="Go on behind this event.")]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "A page; by Accept: text/event-stream, a stream."}
}


@router.get(
    "/events",
    operation_id="list_events",
    response_model=EventList,
    dependencies=[Depends(only("after", "limit"))],
    responses={**STREAM, **problems(SpecRefused, Unavailable)},
)
async def list_events(
    request: Request,
    records: RunReaderDep,
    tailer: TailerDep,
    after: After = 0,
    limit: Limit = 100,
    last_event_id: LastEventId = None,
) -> Response:
    """All events, oldest first: a page, or by `Accept: text/event-stream` all that were and all that come."""
    return await _answer(request, records, tailer, None, int(last_event_id or after), limit)


@router.get(
    "/runs/{run_id}/events",
    operation_id="list_run_events",
    response_model=EventList,
    dependencies=[Depends(only("after", "limit"))],
    responses={**STREAM, **problems(RunNotFound, SpecRefused, Unavailable)},
)
async def list_run_events(
    request: Request,
    run_id: str,
    records: RunReaderDep,
    tailer: TailerDep,
    after: After = 0,
    limit: Limit = 100,
    last_event_id: LastEventId = None,
) -> Response:
    """One run's events; the stream ends after the run's last."""
    return await _answer(request, records, tailer, run_id, int(last_event_id or after), limit)


async def _answer(
    request: Request, records: RunReader, tailer: Tailer, run_id: str | None, after: int, limit: int
) -> Response:
    if "text/event-stream" in request.headers.get("accept", ""):
        if run_id is not None:
            await run_in_threadpool(records.version, run_id)  # a 404 must come before the stream begins
        return EventSourceResponse(_stream(records, tailer, run_id, after), headers={"cache-control": "no-cache"})
    found = await run_in_threadpool(records.events, run_id, after=after, limit=limit + 1)
    shown = [EventView.of(event) for event in found[:limit]]
    cursor = str(shown[-1].id if shown else after)
    page = EventList(data=shown, has_more=len(found) > limit, next_cursor=cursor)
    return Response(page.model_dump_json(), media_type="application/json")


async def _stream(records: RunReader, tailer: Tailer, run_id: str | None, after: int) -> AsyncIterator[bytes]:
    """Events behind ``after``: those of the log, then those that come; a comment now and then keeps the connection."""
    yield format_sse_event(comment="fitwell", retry=1000)
    async with tailer.follow(run_id) as follower:
        while not tailer.closed:
            follower.missed = read_again = False
            async for event in _logged(records, run_id, after):
                after = event.id
                yield event.message
            if run_id is not None and (await run_in_threadpool(records.get, run_id)).terminal:
                async for event in _logged(records, run_id, after):
                    yield event.message
                return
            while not (read_again or tailer.closed):
                news = await follower.news(KEEP_ALIVE_SECONDS)
                if not news:
                    yield format_sse_event(comment="keep-alive")
                read_again = follower.missed
                for event in () if read_again else news:
                    if event.id > after:
                        after = event.id
                        read_again = read_again or (run_id is not None and event.type in ENDS)
                        if records.caller.sees(event.owner):
                            yield event.message


async def _logged(records: RunReader, run_id: str | None, after: int) -> AsyncIterator[StreamEvent]:
    """The events of the log behind ``after``, page by page."""
    while True:
        found = await run_in_threadpool(records.events, run_id, after=after, limit=PAGE)
        for event in found:
            yield told(event)
        if len(found) < PAGE:
            return
        after = found[-1].id


def told(event: Event) -> StreamEvent:
    """The event as a stream sends it."""
    data = EventView.of(event).model_dump_json()
    message = format_sse_event(data_str=data, event=event.type, id=str(event.id))
    return StreamEvent(event.id, event.run_id, event.owner, event.type, message)
