"""Requests to a server as sans-IO flows, shared by the synchronous and the asynchronous client.

A flow is a generator: it yields steps (send a request, sleep, open a stream, save a file, yield an item to the caller)
and receives the outcome of each; its return value is the result. ``Transport`` and ``AsyncTransport`` execute the steps
and contain no other logic: retries, pagination, long polls and event streams are implemented here, once.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel

from fitwell.errors import FitwellError, Misunderstood, ServerError, Unreachable, refusal_from

T = TypeVar("T")
MAX_TRIES, MAX_PATIENT_TRIES = 4, 8
BACKOFF_SECONDS = 0.2
RETRYABLE_STATUSES = (429, 502, 503, 504)
NOT_STARTED_STATUSES = (429, 503)
"""Statuses of a server that has not started to process the request."""
MAX_WAIT_SECONDS, MAX_PATIENT_WAIT_SECONDS = 10.0, 30.0
"""Total delay between the tries of a request. A longer Retry-After is not waited for: the caller gets the error."""
MAX_RECONNECTS = 5


@dataclass(frozen=True)
class Request:
    """An HTTP request. ``content`` creates the body of bytes for each try; ``timeout`` is in seconds."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: Callable[[], Iterator[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    repeatable: bool = True
    """Whether a retry is safe even if the first try reached the server."""
    patient: bool = False
    """Whether to retry long enough for a server to restart; used while waiting for runs."""

    def with_idempotency_key(self) -> Request:
        """Return the request; a POST gets an Idempotency-Key, the same in every try."""
        if self.method != "POST":
            return self
        return replace(self, headers={"idempotency-key": str(uuid.uuid4()), **self.headers})


@dataclass(frozen=True)
class Send:
    """Send the request; the outcome is the response."""

    request: Request


@dataclass(frozen=True)
class Save:
    """Send the request and write the body of a successful response to ``target``; the outcome is the response."""

    request: Request
    target: Path


@dataclass(frozen=True)
class OpenStream:
    """Send the request and keep the response open; the outcome is the response."""

    request: Request


@dataclass(frozen=True)
class NextMessage:
    """Wait for the next message of the open stream; the outcome is the message, or None at its end."""


@dataclass(frozen=True)
class Sleep:
    """Sleep."""

    seconds: float


@dataclass(frozen=True)
class Yield(Generic[T]):
    """Yield ``item`` to the caller who iterates."""

    item: T


Step: TypeAlias = Send | Save | OpenStream | NextMessage | Sleep
Flow: TypeAlias = Generator[Step, Any, T]
"""Steps, and a result."""
ItemFlow: TypeAlias = Generator[Step | Yield[T], Any, None]
"""Steps, and items for the caller."""


def api_path(*segments: str) -> str:
    """Return the path of a resource. Segments are quoted, so an id cannot point to another resource."""
    return "/v1/" + "/".join(quote(segment, safe="@:") or "-" for segment in segments)


def target_file(to: str | os.PathLike[str] | None, name: str) -> Path:
    """Return the file ``to``, or the file ``name`` if ``to`` is a folder; None is the current folder."""
    target = Path(to or ".")
    return target / name if target.is_dir() else target


def send(request: Request) -> Flow[httpx2.Response]:
    """Return the response, after retries if necessary. Status 304 is a success.

    Raises:
        Refused: The server rejected the request.
        Unreachable: No server responded to any of the tries.
    """
    return (yield from _send_with_retries(Send(request.with_idempotency_key())))


class Page(BaseModel):
    """One page of a list."""

    data: list[Any]
    has_more: bool
    next_cursor: str | None = None


def fetch_json(request: Request) -> Flow[Any]:
    """Return the parsed JSON of the response.

    Raises:
        Refused: The server rejected the request.
        Unreachable: No server responded to any of the tries.
    """
    return (yield from send(request)).json()


def download_file(request: Request, target: Path) -> Flow[None]:
    """Write the response's body to ``target``, atomically: after an error the file is as it was before.

    Raises:
        Refused: The server rejected the request.
        Unreachable: No server responded to any of the tries, or every connection was cut.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield from _send_with_retries(Save(request, temporary))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def paginate(
    path: str, params: Mapping[str, Any], parse_item: Callable[[Any], T], *, limit: int | None = None
) -> ItemFlow[T]:
    """Yield the items of a list, page by page, up to ``limit``."""
    query, count = dict(params), 0
    while True:
        page = Page.model_validate((yield from fetch_json(Request("GET", path, query))))
        for data in page.data:
            if count == limit:
                return
            count += 1
            yield Yield(parse_item(data))
        if not page.has_more:
            return
        query["after"] = page.next_cursor


def stream_once(path: str, after: int) -> ItemFlow[httpx2.ServerSentEvent]:
    """Yield server-sent events after id ``after`` over a single connection, until it ends.

    Raises:
        Refused: The server rejected the request.
        Unreachable: No server responded, or the connection was cut.
    """
    headers = {"accept": "text/event-stream", "last-event-id": str(after)}
    _check_event_stream((yield OpenStream(Request("GET", path, headers=headers))))
    while (message := (yield NextMessage())) is not None:
        yield Yield(message)


def stream_events(
    path: str,
    after: int,
    parse_event: Callable[[httpx2.ServerSentEvent], T | None],
    is_over: Callable[[], Flow[bool]],
    is_last: Callable[[T], bool] = lambda _: False,
) -> ItemFlow[T]:
    """Yield server-sent events after id ``after``, each once; reconnect and resume if the connection is cut.

    The stream ends after an event for which ``is_last`` holds, if ``is_over`` confirms it, or when a connection ends
    that was opened after ``is_over`` held. Events between a cut and the end are therefore included. Messages that
    ``parse_event`` maps to None are skipped.

    Raises:
        Refused: The server rejected the request.
        Unreachable: No server responded to any of the reconnects.
    """
    cuts, over, ended = 0, False, False
    while True:
        headers = {"accept": "text/event-stream", "last-event-id": str(after)}
        try:
            _check_event_stream((yield OpenStream(Request("GET", path, headers=headers))))
            while (message := (yield NextMessage())) is not None:
                if not message.data:
                    continue
                after, cuts, event = int(message.id), 0, parse_event(message)
                if event is not None:
                    yield Yield(event)
                    ended = is_last(event)
                    if ended and (yield from is_over()):
                        return
            if over:
                return
        except (Unreachable, ServerError) as error:
            cuts += 1
            if cuts > MAX_RECONNECTS or (isinstance(error, ServerError) and error.status not in RETRYABLE_STATUSES):
                raise
        over = yield from is_over()  # retries until the server is back
        if over and ended:
            return
        if not over:
            yield Sleep(_backoff_seconds(1))


def check_response(response: httpx2.Response) -> httpx2.Response:
    """Return the response if it is a success or 304.

    Raises:
        Refused: The response is an error.
        Misunderstood: The response is a redirect.
    """
    if response.status_code == 304 or response.is_success:
        return response
    if not response.is_error:
        location = response.headers.get("location", "an unnamed address")
        raise Misunderstood(str(response.url), f"it redirects to {location}. Use that address instead.")
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": f"The server returned status {response.status_code}: {response.text[:200]}"}
    raise refusal_from(response.status_code, {**problem, "retry_after": retry_after_seconds(response)})


def _check_event_stream(response: httpx2.Response) -> None:
    media_type = check_response(response).headers.get("content-type", "no content type")
    if not media_type.startswith("text/event-stream"):
        raise Misunderstood(str(response.url), f"it returned {media_type} instead of text/event-stream.")


def retry_after_seconds(response: httpx2.Response) -> float | None:
    """Return the delay of the Retry-After header, given in seconds or as a date; None without one."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    now = datetime.now(UTC) if moment.tzinfo else datetime.now(UTC).replace(tzinfo=None)
    return max(0.0, (moment - now).total_seconds())


def _send_with_retries(step: Send | Save) -> Flow[httpx2.Response]:
    waited, patient, repeatable = 0.0, step.request.patient, step.request.repeatable
    max_tries, max_wait = (MAX_PATIENT_TRIES, MAX_PATIENT_WAIT_SECONDS) if patient else (MAX_TRIES, MAX_WAIT_SECONDS)
    for attempt in range(1, max_tries + 1):
        delay = _backoff_seconds(attempt)
        try:
            response: httpx2.Response = yield step
        except Unreachable as error:
            if attempt == max_tries or (error.arrived and not repeatable):
                raise
        else:
            retryable = response.status_code in (RETRYABLE_STATUSES if repeatable else NOT_STARTED_STATUSES)
            delay = max(delay, retry_after_seconds(response) or 0.0)
            if not retryable or attempt == max_tries or waited + delay > max_wait:
                return check_response(response)
        waited += delay
        yield Sleep(delay)
    raise FitwellError("The last try returns or raises.")


def _backoff_seconds(attempt: int) -> float:
    """Return the delay after a failed attempt: exponential, with jitter so that clients do not retry in step."""
    return float(BACKOFF_SECONDS * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))  # noqa: S311 - nothing secret
