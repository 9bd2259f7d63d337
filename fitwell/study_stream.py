"""The events of a study's runs as one stream."""

from __future__ import annotations

import httpx2

from fitwell.requests import Flow, ItemFlow, Request, Yield, api_path, fetch_json, stream_events
from fitwell.run_views import Event, parse_event

END_EVENTS = ("run.succeeded", "run.failed", "run.cancelled")
RESTART_EVENTS = ("run.queued", "run.requeued")
GROWTH_EVENTS = ("study.seeds", "study.confirming")
"""The events that precede those of more runs: further seeds, or the confirmation of a tuned study."""


def study_events(study_id: str, after: int, *, sequential: bool, tuned: bool) -> ItemFlow[Event]:
    """Yield the events of a study's runs as they happen, each once, until all runs have ended.

    Only events with an id greater than ``after``. Runs that are added to a ``sequential`` study, and those of the
    confirmation of a ``tuned`` one, are included.
    """
    ids, ended, start = yield from _runs_and_start(study_id)

    def is_over() -> Flow[bool]:
        study = yield from fetch_json(Request("GET", api_path("studies", study_id), patient=True))
        growing = [study_id] if sequential and not study["terminal"] else []
        if tuned and study["tune"]["confirmation_id"] is not None:
            growing.append(study["tune"]["confirmation_id"])
        for growing_id in growing:
            added, added_ended, _ = yield from _runs_and_start(growing_id)
            ended.update(added_ended - ids)
            ids.update(added)
        return study["terminal"] is True

    if (yield from is_over()):  # every event is in the log, and the stream of all runs would never end
        yield from _logged_events(ids, start, after)
        return

    def parse_own_event(message: httpx2.ServerSentEvent) -> Event | None:
        event = parse_event(message)
        if event.run_id not in ids:
            return None
        _update_ended(ended, event)
        return event

    def is_last(event: Event) -> bool:
        return ids <= ended or event.type in GROWTH_EVENTS

    yield from stream_events("/v1/events", max(after, start), parse_own_event, is_over, is_last)


def _runs_and_start(study_id: str) -> Flow[tuple[set[str], set[str], int]]:
    """Return the ids of a study's runs, those of ended ones, and an event id that precedes all their events."""
    query = {"study_id": study_id, "fields": "id,terminal", "sort": "created_at", "limit": 1000}
    ids: list[str] = []
    ended = set[str]()
    while True:
        page = yield from fetch_json(Request("GET", "/v1/runs", query))
        ids += [data["id"] for data in page["data"]]
        ended |= {data["id"] for data in page["data"] if data["terminal"]}
        if not page["has_more"]:
            break
        query["after"] = page["next_cursor"]
    first = yield from fetch_json(Request("GET", api_path("runs", ids[0], "events"), {"limit": 1}))
    # All runs were created in one transaction, so the ids of their first events are close together.
    start = first["data"][0]["id"] - 3 * len(ids) if first["data"] else 0
    return set(ids), ended, max(0, start)


def _update_ended(ended: set[str], event: Event) -> None:
    if event.type in END_EVENTS:
        ended.add(event.run_id)
    elif event.type in RESTART_EVENTS:
        ended.discard(event.run_id)


def _logged_events(ids: set[str], start: int, after: int) -> ItemFlow[Event]:
    """Yield the events after id ``after`` of runs that have all ended; reads the log from id ``start``."""
    query, ended = {"after": start, "limit": 1000}, set[str]()
    while True:
        page = yield from fetch_json(Request("GET", "/v1/events", query))
        for event in (Event.model_validate(data) for data in page["data"] if data["run_id"] in ids):
            _update_ended(ended, event)
            if event.id > after:
                yield Yield(event)
        if ids <= ended or not page["has_more"]:
            return
        query["after"] = page["next_cursor"]
