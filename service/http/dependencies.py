"""Dependencies that every feature's routes use.

None of them waits for anything, so all are ``async``: FastAPI runs each function that is not in another thread.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol, Self, TypeVar

from fastapi import Depends, Header, Request

from service.callers import Caller
from service.http.scopes import caller_of
from service.http.tailer import Tailer
from service.settings import Settings

MAX_WAIT_SECONDS = 60.0


class ScopedService(Protocol):
    """A service that can be limited to one caller."""

    def on_behalf_of(self, caller: Caller) -> Self:
        """Return the same service, limited to what ``caller`` may see and change."""


T = TypeVar("T")
S = TypeVar("S", bound=ScopedService)


def scoped_to_caller(service: type[S]) -> Callable[[Request], Awaitable[S]]:
    """Return a dependency: the application's ``service``, limited to what the caller may see and change."""

    async def provide(request: Request) -> S:
        instance: S = request.app.state.services[service]
        return instance.on_behalf_of(caller_of(request))

    return provide


def unscoped(service: type[T]) -> Callable[[Request], Awaitable[T]]:
    """Return a dependency for routes that need no token: the application's ``service``, not limited to a caller."""

    async def provide(request: Request) -> T:
        instance: T = request.app.state.services[service]
        return instance

    return provide


async def _tailer(request: Request) -> Tailer:
    tailer: Tailer = request.app.state.tailer
    return tailer


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _wait_seconds(
    prefer: Annotated[str | None, Header(description="`wait=30`: wait up to 30 s for a change.")] = None,
) -> float:
    """Return how long the client is willing to wait (RFC 7240), at most 60 s."""
    match = re.search(r"(?:^|[\s,;])wait\s*=\s*\"?(\d{1,6})", prefer or "")
    return min(float(match[1]), MAX_WAIT_SECONDS) if match else 0.0


CallerDep = Annotated[Caller, Depends(_caller)]
TailerDep = Annotated[Tailer, Depends(_tailer)]
SettingsDep = Annotated[Settings, Depends(_settings)]
WaitDep = Annotated[float, Depends(_wait_seconds)]
