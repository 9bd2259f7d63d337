"""Routes of the event log: a page, or a stream of server-sent events that a client can resume."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import SpecRefused, Unavailable
from service.events.schemas import EventList, EventView
from service.http.dependencies import TailerDep
from service.http.parameters import Limit, QueryModel
from service.http.patterns import EVENT_ID
from service.http.problems import problems
from service.http.routing import Route
from service.http.tailer import StreamEvent, Tailer
from service.runs.dependencies import RunReaderDep
from service.runs.errors import RunNotFound
from service.runs.reader import RunReader
from service.runs.run import Event
from service.runs.states import TERMINAL

router = APIRouter(prefix="/v1", tags=["events"], route_class=Route)
KEEP_ALIVE_SECONDS = 15.0
PAGE = 500
FINAL_TYPES = frozenset(f"run.{status}" for status in TERMINAL)
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "A page, or a stream with Accept: text/event-stream."}
}


class EventListQuery(QueryModel):
    """A page of events, oldest first."""

    after: int = Field(default=0, ge=0, le=2**63 - 1, description="Only events after this id.")
    limit: Limit = 100


async def _start(
    query: Annotated[EventListQuery, Query()],
    last_event_id: Annotated[str | None, Header(pattern=EVENT_ID, description="Resume after this event.")] = None,
) -> EventListQuery:
    """Let Last-Event-ID, which browsers send when they reconnect, replace `after`."""
    return query if last_event_id is None else EventListQuery(after=int(last_event_id), limit=query.limit)


Start = Annotated[EventListQuery, Depends(_start)]


@router.get(
    "/events",
    operation_id="list_events",
    response_model=EventList,
    responses={**STREAM, **problems(SpecRefused, Unavailable)},
)
async def list_events(request: Request, start: Start, runs: RunReaderDep, tailer: TailerDep) -> Response:
    """List all events, oldest first. With `Accept: text/event-stream`, stream past and future events."""
    return await _respond(request, runs, tailer, None, start)


@router.get(
    "/runs/{run_id}/events",
    operation_id="list_run_events",
    response_model=EventList,
    responses={**STREAM, **problems(RunNotFound, SpecRefused, Unavailable)},
)
async def list_run_events(
    request: Request, run_id: str, start: Start, runs: RunReaderDep, tailer: TailerDep
) -> Response:
    """List one run's events; a stream ends after the run's last event."""
    return await _respond(request, runs, tailer, run_id, start)


async def _respond(
    request: Request, runs: RunReader, tailer: Tailer, run_id: str | None, start: EventListQuery
) -> Response:
    if "text/event-stream" in request.headers.get("accept", ""):
        if run_id is not None:
            await run_in_threadpool(runs.version, run_id)  # an unknown run must be a 404 before the stream begins
        return EventSourceResponse(_stream(runs, tailer, run_id, start.after), headers={"cache-control": "no-cache"})
    events = await run_in_threadpool(runs.events, run_id, after=start.after, limit=start.limit + 1)
    data = [EventView.of(event) for event in events[: start.limit]]
    cursor = str(data[-1].id if data else start.after)
    page = EventList(data=data, has_more=len(events) > start.limit, next_cursor=cursor)
    return Response(page.model_dump_json(), media_type="application/json")


async def _stream(runs: RunReader, tailer: Tailer, run_id: str | None, after: int) -> AsyncIterator[bytes]:
    """Yield events after ``after``: those in the log, then new ones; comments keep an idle connection open."""
    yield format_sse_event(comment="fitwell", retry=1000)
    async with tailer.follow(run_id) as follower:
        while not tailer.closed:
            follower.missed = read_again = False
            async for event in _logged(runs, run_id, after):
                after = event.id
                yield event.message
            if run_id is not None and (await run_in_threadpool(runs.get, run_id)).terminal:
                async for event in _logged(runs, run_id, after):
                    yield event.message
                return
            while not (read_again or tailer.closed):
                news = await follower.news(KEEP_ALIVE_SECONDS)
                if not news:
                    yield format_sse_event(comment="keep-alive")
                read_again = follower.missed
                for event in () if read_again else news:
                    # Even if the event precedes ``after``: the client may have passed an id that is still to come.
                    read_again = read_again or (run_id is not None and event.type in FINAL_TYPES)
                    if event.id > after:
                        after = event.id
                        if runs.caller.sees(event.owner):
                            yield event.message


async def _logged(runs: RunReader, run_id: str | None, after: int) -> AsyncIterator[StreamEvent]:
    """Yield the log's events after ``after``, page by page."""
    while True:
        events = await run_in_threadpool(runs.events, run_id, after=after, limit=PAGE)
        for event in events:
            yield stream_event(event)
        if len(events) < PAGE:
            return
        after = events[-1].id


def stream_event(event: Event) -> StreamEvent:
    """Return the event as streams send it."""
    data = EventView.of(event).model_dump_json()
    message = format_sse_event(data_str=data, event=event.type, id=str(event.id))
    return StreamEvent(event.id, event.run_id, event.owner, event.type, message)
