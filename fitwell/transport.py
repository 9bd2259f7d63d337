"""HTTP as this package uses it: one connection pool, retries that repeat nothing twice, problems as errors."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from fitwell.errors import ServerError, Unreachable, refusal_of

DEFAULT_URL = "http://127.0.0.1:8000"
TRIES = 4
PAUSE_SECONDS = 0.2
RETRIED = (429, 502, 503, 504)
MOST_PAUSE_SECONDS = 5.0
"""Who asks for a longer pause (Retry-After) gets no second try."""


class Transport:
    """Requests to one server.

    A POST carries an Idempotency-Key, the same in every try, so that a cut connection never makes two runs.
    """

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        self.url = (url or os.environ.get("FITWELL_URL") or DEFAULT_URL).rstrip("/")
        token = token or os.environ.get("FITWELL_TOKEN")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=timeout)

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: Callable[[], Iterable[bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx2.Response:
        """The answer; a 304 counts as one. ``content`` gives the body anew for every try.

        Raises:
            Refused: the server refused.
            Unreachable: no server answered, several times.
        """
        sent = dict(headers or {})
        if method == "POST":
            sent.setdefault("idempotency-key", str(uuid.uuid4()))
        patience = httpx2.USE_CLIENT_DEFAULT if timeout is None else timeout
        for attempt in range(1, TRIES + 1):
            body: dict[str, Any] = {"json": json} if content is None else {"content": content()}
            try:
                answer = self._http.request(method, path, params=params, headers=sent, timeout=patience, **body)
            except httpx2.TransportError as error:
                if attempt == TRIES:
                    raise Unreachable(self.url, str(error) or type(error).__name__) from error
            else:
                later = _asked_pause(answer) > MOST_PAUSE_SECONDS
                if answer.status_code not in RETRIED or attempt == TRIES or later:
                    return _accepted(answer)
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("unreachable: the last try returns or raises")

    def download(self, path: str, target: Path, params: Mapping[str, Any] | None = None) -> None:
        """Write what is at ``path`` to the file ``target``; it is there whole, or is as it was before.

        Raises:
            Refused: the server refused.
            Unreachable: no server answered, or the connection was cut, several times.
        """
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            for attempt in range(1, TRIES + 1):
                try:
                    self._download(path, temporary, params)
                    break
                except httpx2.TransportError as error:
                    if attempt == TRIES:
                        raise Unreachable(self.url, str(error) or type(error).__name__) from error
                except ServerError as error:
                    if attempt == TRIES or error.status not in RETRIED:
                        raise
                time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _download(self, path: str, target: Path, params: Mapping[str, Any] | None) -> None:
        with self._http.stream("GET", path, params=params) as answer, target.open("wb") as file:
            if answer.status_code >= 400:
                answer.read()
            _accepted(answer)
            for chunk in answer.iter_bytes():
                file.write(chunk)

    def events(self, path: str, last_event_id: int) -> Iterator[httpx2.ServerSentEvent]:
        """Server-sent events behind ``last_event_id``, until the server ends the stream or the connection is cut.

        Raises:
            Refused: the server refused.
            httpx2.TransportError: the connection was cut.
        """
        headers = {"accept": "text/event-stream", "last-event-id": str(last_event_id)}
        with self._http.stream("GET", path, headers=headers, timeout=httpx2.Timeout(10, read=60)) as answer:
            if answer.status_code >= 400:
                answer.read()
            _accepted(answer)
            yield from httpx2.EventSource(answer)


def _asked_pause(answer: httpx2.Response) -> float:
    seconds = answer.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else 0.0


def _accepted(answer: httpx2.Response) -> httpx2.Response:
    if answer.status_code < 400:
        return answer
    try:
        problem = answer.json()
    except ValueError:
        problem = {"detail": f"The server answered {answer.status_code}: {answer.text[:200]}"}
    raise refusal_of(answer.status_code, problem)
