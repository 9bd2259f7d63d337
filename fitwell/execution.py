"""Execution of flows over HTTP: synchronously and asynchronously."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
import httpx2
from pydantic import ValidationError

from fitwell.errors import Misunderstood, Unreachable
from fitwell.requests import Flow, ItemFlow, NextMessage, OpenStream, Request, Save, Send, Sleep, Step, Yield

T = TypeVar("T")
STREAM_TIMEOUT = httpx2.Timeout(10, read=60)
NOT_SENT_ERRORS = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True)
class _End:
    """The end of a flow, with its result."""

    value: Any


class _FlowState(Generic[T]):
    """A flow in progress: passes the outcome of each step back and returns the next step."""

    def __init__(self, url: str, flow: Flow[T] | ItemFlow[T]) -> None:
        self._url, self._flow = url, flow
        self._outcome: Any = None
        self._error: Unreachable | None = None

    def next_step(self) -> Step | Yield[T] | _End:
        """Return the next step, or the end."""
        outcome, error, self._outcome, self._error = self._outcome, self._error, None, None
        try:
            return self._flow.send(outcome) if error is None else self._flow.throw(error)
        except StopIteration as end:
            return _End(end.value)
        except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as invalid:
            reason = (
                f"its response is invalid ({type(invalid).__name__}). Check FITWELL_URL, and that client and server "
                "have matching versions."
            )
            raise Misunderstood(self._url, reason) from invalid

    def succeed(self, outcome: Any) -> None:
        """Record the outcome of the last step."""
        self._outcome = outcome

    def fail(self, error: httpx2.RequestError) -> None:
        """Record that the last step failed because the server is unreachable."""
        arrived = not isinstance(error, NOT_SENT_ERRORS)
        self._error = Unreachable(self._url, str(error) or type(error).__name__, arrived=arrived)
        self._error.__cause__ = error


class Execution(Generic[T]):
    """The synchronous execution of a flow."""

    def __init__(self, url: str, http: httpx2.Client, flow: Flow[T] | ItemFlow[T]) -> None:
        self._state, self._http, self._flow = _FlowState(url, flow), http, flow
        self._open_response = ExitStack()
        self._messages: Iterator[httpx2.ServerSentEvent] = iter(())

    def __enter__(self) -> Execution[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open_response.close()
        self._flow.close()

    def result(self) -> T:
        """Execute a flow without items and return its result."""
        end = self.next()
        assert isinstance(end, _End)
        result: T = end.value
        return result

    def next(self) -> Yield[T] | _End:
        """Execute steps until the flow yields an item or ends."""
        while isinstance(step := self._state.next_step(), Step):
            try:
                self._state.succeed(self._execute(step))
            except httpx2.RequestError as error:
                self._state.fail(error)
        return step

    def _execute(self, step: Step) -> Any:
        match step:
            case Send(request):
                return self._http.request(request.method, request.path, **httpx_options(request), **_body(request))
            case Save(request, target):
                options = {**httpx_options(request), **_body(request)}
                with self._http.stream(request.method, request.path, **options) as response:
                    if response.is_error:
                        response.read()
                        return response
                    with target.open("wb") as file:
                        for chunk in response.iter_bytes():
                            file.write(chunk)
                    return response
            case OpenStream(request):
                self._open_response.close()
                options = {**httpx_options(request), "timeout": STREAM_TIMEOUT}
                stream = self._http.stream(request.method, request.path, **options)
                response = self._open_response.enter_context(stream)
                if response.is_error:
                    response.read()
                self._messages = iter(httpx2.EventSource(response))
                return response
            case NextMessage():
                return next(self._messages, None)
            case Sleep(seconds):
                time.sleep(seconds)
        return None


class AsyncExecution(Generic[T]):
    """The asynchronous execution of a flow."""

    def __init__(self, url: str, http: httpx2.AsyncClient, flow: Flow[T] | ItemFlow[T]) -> None:
        self._state, self._http, self._flow = _FlowState(url, flow), http, flow
        self._open_response = AsyncExitStack()
        self._messages: AsyncIterator[httpx2.ServerSentEvent] | None = None

    async def __aenter__(self) -> AsyncExecution[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open_response.aclose()
        self._flow.close()

    async def result(self) -> T:
        """Execute a flow without items and return its result."""
        end = await self.next()
        assert isinstance(end, _End)
        result: T = end.value
        return result

    async def next(self) -> Yield[T] | _End:
        """Execute steps until the flow yields an item or ends."""
        while isinstance(step := self._state.next_step(), Step):
            try:
                self._state.succeed(await self._execute(step))
            except httpx2.RequestError as error:
                self._state.fail(error)
        return step

    async def _execute(self, step: Step) -> Any:
        match step:
            case Send(request):
                options = {**httpx_options(request), **_async_body(request)}
                return await self._http.request(request.method, request.path, **options)
            case Save(request, target):
                options = {**httpx_options(request), **_async_body(request)}
                async with self._http.stream(request.method, request.path, **options) as response:
                    if response.is_error:
                        await response.aread()
                        return response
                    async with await anyio.open_file(target, "wb") as file:
                        async for chunk in response.aiter_bytes():
                            await file.write(chunk)
                    return response
            case OpenStream(request):
                await self._open_response.aclose()
                options = {**httpx_options(request), "timeout": STREAM_TIMEOUT}
                stream = self._http.stream(request.method, request.path, **options)
                response = await self._open_response.enter_async_context(stream)
                if response.is_error:
                    await response.aread()
                self._messages = aiter(httpx2.EventSource(response))
                return response
            case NextMessage():
                assert self._messages is not None
                return await anext(self._messages, None)
            case Sleep(seconds):
                await anyio.sleep(seconds)
        return None


def _body(request: Request) -> dict[str, Any]:
    """Return the streamed body as an option of httpx."""
    return {} if request.content is None else {"content": request.content()}


def _async_body(request: Request) -> dict[str, Any]:
    return {} if request.content is None else {"content": _async_chunks(request.content())}


async def _async_chunks(content: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


def httpx_options(request: Request) -> dict[str, Any]:
    """Return the request's options for httpx, without a body of bytes."""
    # None keeps a query that is part of the path; an empty mapping would remove it.
    options: dict[str, Any] = {"params": request.params or None, "headers": request.headers}
    options["timeout"] = httpx2.USE_CLIENT_DEFAULT if request.timeout is None else request.timeout
    return options if request.json is None else {**options, "json": request.json}
