"""What is to be asked of a server, written without asking it, so that waiting and not waiting share it.

A plan is a generator. It yields steps (send this, pause, listen, save, tell the caller) and is handed what came of
each; what it returns is its result. ``Transport`` and ``AsyncTransport`` carry plans out and know nothing else:
retries, pages, long polls and streams are here, once.
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

from fitwell.errors import FitwellError, Misunderstood, ServerError, Unreachable, refusal_of

T = TypeVar("T")
TRIES, PATIENT_TRIES = 4, 8
PAUSE_SECONDS = 0.2
RETRIED = (429, 502, 503, 504)
UNTOUCHED = (429, 503)
"""So answers who has not begun with a request."""
MOST_WAIT_SECONDS, MOST_PATIENT_SECONDS = 10.0, 30.0
"""Between all tries of a request; who asks for more (Retry-After) gets no further try, and the caller hears of it."""
CUTS = 5


@dataclass(frozen=True)
class Request:
    """One request. ``content`` gives a body of bytes anew for every try; ``timeout`` is in seconds."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: Callable[[], Iterator[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    repeatable: bool = True
    """Whether it may be sent again though it may have arrived: nothing is made twice by it."""
    patient: bool = False
    """Whether a server is given the time to start again: whoever waits for a run waits for that, too."""

    def keyed(self) -> Request:
        """The same; a POST with an Idempotency-Key, which is then the same in every try."""
        if self.method != "POST":
            return self
        return replace(self, headers={"idempotency-key": str(uuid.uuid4()), **self.headers})


@dataclass(frozen=True)
class Send:
    """Send it; what comes of it is the answer."""

    request: Request


@dataclass(frozen=True)
class Save:
    """Send it and write the body of an accepted answer to ``target``; what comes of it is the answer."""

    request: Request
    target: Path


@dataclass(frozen=True)
class Listen:
    """Send it and keep the answer open; what comes of it is the answer."""

    request: Request


@dataclass(frozen=True)
class Hear:
    """Wait for a message of what is listened to; what comes of it is the message, or None at the end."""


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Tell(Generic[T]):
    """Hand ``item`` to whoever iterates."""

    item: T


Step: TypeAlias = Send | Save | Listen | Hear | Pause
Plan: TypeAlias = Generator[Step, Any, T]
"""Steps, and a result."""
Telling: TypeAlias = Generator[Step | Tell[T], Any, None]
"""Steps, and items on the way."""


def place(*steps: str) -> str:
    """A path on the server; what is in a step, an id say, leads nowhere else."""
    return "/v1/" + "/".join(quote(step, safe="@:") or "-" for step in steps)


def file_of(to: str | os.PathLike[str] | None, name: str) -> Path:
    """The file that is meant by ``to``: itself, or ``name`` in a folder, by default in the current one."""
    target = Path(to or ".")
    return target / name if target.is_dir() else target


def answered(request: Request) -> Plan[httpx2.Response]:
    """The answer, after as many tries as it takes; a 304 counts as one.

    Raises:
        Refused: the server refused.
        Unreachable: no server answered, several times.
    """
    return (yield from _patiently(Send(request.keyed())))


class Page(BaseModel):
    """Part of a list, as the server tells it."""

    data: list[Any]
    has_more: bool
    next_cursor: str | None = None


def read(request: Request) -> Plan[Any]:
    """The answer's JSON.

    Raises:
        Refused: the server refused.
        Unreachable: no server answered, several times.
    """
    return (yield from answered(request)).json()


def saved(request: Request, target: Path) -> Plan[None]:
    """Write what is asked for to the file ``target``; it is there whole, or is as it was before.

    Raises:
        Refused: the server refused.
        Unreachable: no server answered, or the connection was cut, several times.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield from _patiently(Save(request, temporary))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def pages(path: str, params: Mapping[str, Any], read_one: Callable[[Any], T], *, most: int | None = None) -> Telling[T]:
    """Every item of a list, page by page; at most so many."""
    asked, told = dict(params), 0
    while True:
        page = Page.model_validate((yield from read(Request("GET", path, asked))))
        for data in page.data:
            if told == most:
                return
            told += 1
            yield Tell(read_one(data))
        if not page.has_more:
            return
        asked["after"] = page.next_cursor


def listened(path: str, after: int) -> Telling[httpx2.ServerSentEvent]:
    """Server-sent events behind ``after``, until the server ends the stream or the connection is cut.

    Raises:
        Refused: the server refused.
        Unreachable: there is no server, or the connection was cut.
    """
    headers = {"accept": "text/event-stream", "last-event-id": str(after)}
    _streaming((yield Listen(Request("GET", path, headers=headers))))
    while (message := (yield Hear())) is not None:
        yield Tell(message)


def heard(
    path: str,
    after: int,
    read_one: Callable[[httpx2.ServerSentEvent], T | None],
    over: Callable[[], Plan[bool]],
    ends: Callable[[T], bool] = lambda _: False,
) -> Telling[T]:
    """What server-sent events behind ``after`` say, each once; a cut connection is taken up where it broke.

    It is over when one ``ends`` it and ``over`` says so too, or when a stream ended that began after ``over`` said so:
    what happened between a cut and its being over is told, too. What is read as None is left out.

    Raises:
        Refused: the server refused.
        Unreachable: the server stayed away.
    """
    cuts, known, ended = 0, False, False
    while True:
        headers = {"accept": "text/event-stream", "last-event-id": str(after)}
        try:
            _streaming((yield Listen(Request("GET", path, headers=headers))))
            while (message := (yield Hear())) is not None:
                if not message.data:
                    continue
                after, cuts, item = int(message.id), 0, read_one(message)
                if item is not None:
                    yield Tell(item)
                    ended = ends(item)
                    if ended and (yield from over()):
                        return
            if known:
                return
        except (Unreachable, ServerError) as error:
            cuts += 1
            if cuts > CUTS or (isinstance(error, ServerError) and error.status not in RETRIED):
                raise
        known = yield from over()  # waits and tries again until the server is back
        if known and ended:
            return
        if not known:
            yield Pause(_backed_off(1))


def accepted(answer: httpx2.Response) -> httpx2.Response:
    """The answer, where it is no refusal.

    Raises:
        Refused: it is one.
    """
    if answer.status_code == 304 or answer.is_success:
        return answer
    if not answer.is_error:
        where = answer.headers.get("location", "nowhere")
        raise Misunderstood(str(answer.url), f"it leads to {where}. Name that address.")
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": f"The server answered {answer.status_code}: {answer.text[:200]}"}
    raise refusal_of(answer.status_code, {**problem, "retry_after": asked_pause(answer)})


def _streaming(answer: httpx2.Response) -> None:
    """See that a stream has begun."""
    kind = accepted(answer).headers.get("content-type", "nothing")
    if not kind.startswith("text/event-stream"):
        raise Misunderstood(str(answer.url), f"it sends {kind} where events should come.")


def asked_pause(answer: httpx2.Response) -> float | None:
    """The seconds that Retry-After asks for, written as such or as a date; None where it asks for none."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    now = datetime.now(UTC) if then.tzinfo else datetime.now(UTC).replace(tzinfo=None)
    return max(0.0, (then - now).total_seconds())


def _patiently(step: Send | Save) -> Plan[httpx2.Response]:
    waited, patient = 0.0, step.request.patient
    tries, most = (PATIENT_TRIES, MOST_PATIENT_SECONDS) if patient else (TRIES, MOST_WAIT_SECONDS)
    for attempt in range(1, tries + 1):
        pause = _backed_off(attempt)
        try:
            answer: httpx2.Response = yield step
        except Unreachable as error:
            if attempt == tries or (error.arrived and not step.request.repeatable):
                raise
        else:
            again = answer.status_code in (RETRIED if step.request.repeatable else UNTOUCHED)
            pause = max(pause, asked_pause(answer) or 0.0)
            if not again or attempt == tries or waited + pause > most:
                return accepted(answer)
        waited += pause
        yield Pause(pause)
    raise FitwellError("The last try returns or raises.")


def _backed_off(attempt: int) -> float:
    """How long to wait after so many tries; each longer, and none as long as another client's."""
    return float(PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))  # noqa: S311 - nothing secret
