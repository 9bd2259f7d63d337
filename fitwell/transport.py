"""Plans carried out over HTTP: one transport waits, the other is awaited. They differ in nothing else."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
import httpx2
from pydantic import ValidationError

from fitwell.errors import BadAddress, Misunderstood, Unreachable
from fitwell.requests import Hear, Listen, Pause, Plan, Request, Save, Send, Step, Tell, Telling, answered, listened

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8000"
LISTENING = httpx2.Timeout(10, read=60)
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class _Address:
    """Where a server is, and how to speak to it: address and token as given, else the environment's."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        self.url = (url or os.environ.get("FITWELL_URL") or DEFAULT_URL).strip().rstrip("/")
        token = (token or os.environ.get("FITWELL_TOKEN") or "").strip()
        if not self.url.startswith(("http://", "https://")) or not self.url.isprintable():
            raise BadAddress(f"{self.url!r} is no address of a server, such as {DEFAULT_URL}.")
        if not (token.isascii() and token.isprintable()):
            raise BadAddress(
                "This is no token: FITWELL_TOKEN, or token=…, holds what none can hold. It begins with fw_."
            )
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._options: dict[str, Any] = {"base_url": self.url, "headers": headers, "timeout": timeout}


class Transport(_Address):
    """Requests to one server; whoever asks waits."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        super().__init__(url, token, timeout)
        self._http = httpx2.Client(**self._options)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def run(self, plan: Plan[T]) -> T:
        """The result of a plan."""
        with _Talk(self.url, self._http, plan) as talk:
            return talk.result()

    def items(self, plan: Telling[T]) -> Iterator[T]:
        """What a plan tells, as it comes."""
        with _Talk(self.url, self._http, plan) as talk:
            while isinstance(told := talk.next(), Tell):
                yield told.item

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer to a request of one's own; ``options`` are the fields of ``plans.Request``.

        Raises:
            Refused: the server refused.
            Unreachable: no server answered, several times.
        """
        return self.run(answered(Request(method, path, **options)))

    def events(self, path: str, after: int = 0) -> Iterator[httpx2.ServerSentEvent]:
        """Server-sent events behind ``after`` over one connection, until that is ended or cut.

        Raises:
            Refused: the server refused.
            Unreachable: there is no server, or the connection was cut.
        """
        return self.items(listened(path, after))


class AsyncTransport(_Address):
    """Requests to one server; whoever asks awaits the answer."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        super().__init__(url, token, timeout)
        self._http = httpx2.AsyncClient(**self._options)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def run(self, plan: Plan[T]) -> T:
        """The result of a plan."""
        async with _AsyncTalk(self.url, self._http, plan) as talk:
            return await talk.result()

    async def items(self, plan: Telling[T]) -> AsyncIterator[T]:
        """What a plan tells, as it comes."""
        async with _AsyncTalk(self.url, self._http, plan) as talk:
            while isinstance(told := await talk.next(), Tell):
                yield told.item

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer to a request of one's own; ``options`` are the fields of ``plans.Request``.

        Raises:
            Refused: the server refused.
            Unreachable: no server answered, several times.
        """
        return await self.run(answered(Request(method, path, **options)))

    def events(self, path: str, after: int = 0) -> AsyncIterator[httpx2.ServerSentEvent]:
        """Server-sent events behind ``after`` over one connection, until that is ended or cut.

        Raises:
            Refused: the server refused.
            Unreachable: there is no server, or the connection was cut.
        """
        return self.items(listened(path, after))


@dataclass(frozen=True)
class _End:
    """A plan's result."""

    value: Any


class _Course(Generic[T]):
    """A plan under way: what is to be done next, given what came of the last step."""

    def __init__(self, url: str, plan: Plan[T] | Telling[T]) -> None:
        self._url, self._plan = url, plan
        self._came: Any = None
        self._cut: Unreachable | None = None

    def step(self) -> Step | Tell[T] | _End:
        """The next step, or the end."""
        came, cut, self._came, self._cut = self._came, self._cut, None, None
        try:
            return self._plan.send(came) if cut is None else self._plan.throw(cut)
        except StopIteration as end:
            return _End(end.value)
        except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
            reason = (
                f"{type(error).__name__} in its answer. Is FITWELL_URL right, and is this client as new as the server?"
            )
            raise Misunderstood(self._url, reason) from error

    def came(self, what: Any) -> None:
        """This came of the last step."""
        self._came = what

    def cut(self, error: httpx2.RequestError) -> None:
        """The last step failed, since there is no server or no connection any more."""
        arrived = not isinstance(error, NOT_SENT)
        self._cut = Unreachable(self._url, str(error) or type(error).__name__, arrived=arrived)
        self._cut.__cause__ = error


class _Talk(Generic[T]):
    """A plan that is carried out while its caller waits."""

    def __init__(self, url: str, http: httpx2.Client, plan: Plan[T] | Telling[T]) -> None:
        self._course, self._http, self._plan = _Course(url, plan), http, plan
        self._opened = ExitStack()
        self._messages: Iterator[httpx2.ServerSentEvent] = iter(())

    def __enter__(self) -> _Talk[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        self._plan.close()

    def result(self) -> T:
        """What the plan returns; it tells nothing on the way."""
        end = self.next()
        assert isinstance(end, _End)
        result: T = end.value
        return result

    def next(self) -> Tell[T] | _End:
        """Carry steps out until something is told, or the plan has ended."""
        while isinstance(step := self._course.step(), Step):
            try:
                self._course.came(self._done(step))
            except httpx2.RequestError as error:
                self._course.cut(error)
        return step

    def _done(self, step: Step) -> Any:
        match step:
            case Send(request):
                body: dict[str, Any] = {} if request.content is None else {"content": request.content()}
                return self._http.request(request.method, request.path, **as_sent(request), **body)
            case Save(request, target):
                with self._http.stream(request.method, request.path, **as_sent(request)) as answer:
                    if answer.is_error:
                        answer.read()
                        return answer
                    with target.open("wb") as file:
                        for chunk in answer.iter_bytes():
                            file.write(chunk)
                    return answer
            case Listen(request):
                self._opened.close()
                asked = {**as_sent(request), "timeout": LISTENING}
                answer = self._opened.enter_context(self._http.stream(request.method, request.path, **asked))
                if answer.is_error:
                    answer.read()
                self._messages = iter(httpx2.EventSource(answer))
                return answer
            case Hear():
                return next(self._messages, None)
            case Pause(seconds):
                time.sleep(seconds)
        return None


class _AsyncTalk(Generic[T]):
    """A plan that is carried out while its caller does other things."""

    def __init__(self, url: str, http: httpx2.AsyncClient, plan: Plan[T] | Telling[T]) -> None:
        self._course, self._http, self._plan = _Course(url, plan), http, plan
        self._opened = AsyncExitStack()
        self._messages: AsyncIterator[httpx2.ServerSentEvent] | None = None

    async def __aenter__(self) -> _AsyncTalk[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()
        self._plan.close()

    async def result(self) -> T:
        """What the plan returns; it tells nothing on the way."""
        end = await self.next()
        assert isinstance(end, _End)
        result: T = end.value
        return result

    async def next(self) -> Tell[T] | _End:
        """Carry steps out until something is told, or the plan has ended."""
        while isinstance(step := self._course.step(), Step):
            try:
                self._course.came(await self._done(step))
            except httpx2.RequestError as error:
                self._course.cut(error)
        return step

    async def _done(self, step: Step) -> Any:
        match step:
            case Send(request):
                body: dict[str, Any] = {} if request.content is None else {"content": _handed_on(request.content())}
                return await self._http.request(request.method, request.path, **as_sent(request), **body)
            case Save(request, target):
                async with self._http.stream(request.method, request.path, **as_sent(request)) as answer:
                    if answer.is_error:
                        await answer.aread()
                        return answer
                    async with await anyio.open_file(target, "wb") as file:
                        async for chunk in answer.aiter_bytes():
                            await file.write(chunk)
                    return answer
            case Listen(request):
                await self._opened.aclose()
                asked = {**as_sent(request), "timeout": LISTENING}
                opened = self._http.stream(request.method, request.path, **asked)
                answer = await self._opened.enter_async_context(opened)
                if answer.is_error:
                    await answer.aread()
                self._messages = aiter(httpx2.EventSource(answer))
                return answer
            case Hear():
                assert self._messages is not None
                return await anext(self._messages, None)
            case Pause(seconds):
                await anyio.sleep(seconds)
        return None


async def _handed_on(content: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


def as_sent(request: Request) -> dict[str, Any]:
    """The request as httpx takes it, but for a body of bytes."""
    # None leaves a query that stands in the path; an empty mapping would take it away.
    asked: dict[str, Any] = {"params": request.params or None, "headers": request.headers}
    asked["timeout"] = httpx2.USE_CLIENT_DEFAULT if request.timeout is None else request.timeout
    return asked if request.json is None else {**asked, "json": request.json}
