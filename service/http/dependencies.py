"""What routes are handed: the rules they delegate to, and the parts of a request they share.

None of it waits for anything, and so all of it is ``async``: each function that is not costs a turn of another thread.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol, Self, TypeVar

from fastapi import Depends, Header, Request
from starlette.responses import Response

from service.callers import Caller
from service.errors import FieldError, SpecRefused
from service.http.scopes import caller_of
from service.http.tailer import Tailer
from service.idempotency import Answer, Key
from service.settings import Settings

MOST_WAIT_SECONDS = 60.0


class CallerScoped(Protocol):
    """A service that can be limited to one caller."""

    def on_behalf_of(self, caller: Caller) -> Self:
        """Return the same service, limited to what ``caller`` may see and change."""


S = TypeVar("S", bound=CallerScoped)


def scoped_to_caller(service: type[S]) -> Callable[[Request], Awaitable[S]]:
    """Return a dependency: the application's ``service``, limited to what the caller may see and change."""

    async def provide(request: Request) -> S:
        instance: S = request.app.state.services[service]
        return instance.on_behalf_of(caller_of(request))

    return provide


async def _tailer(request: Request) -> Tailer:
    tailer: Tailer = request.app.state.tailer
    return tailer


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _caller(request: Request) -> Caller:
    return caller_of(request)


CallerDep = Annotated[Caller, Depends(_caller)]
TailerDep = Annotated[Tailer, Depends(_tailer)]
SettingsDep = Annotated[Settings, Depends(_settings)]


def only(*known: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that refuses query parameters other than ``known``: a misspelt filter must not go unnoticed."""

    async def check(request: Request) -> None:
        unknown = [name for name in request.query_params if name not in known]
        if unknown:
            what = f"The known ones are {', '.join(known)}." if known else "None is taken here."
            errors = [
                FieldError(name, "unknown_parameter", f"There is no parameter {name!r}. {what}", known)
                for name in unknown
            ]
            raise SpecRefused(errors[0].message, errors=errors)

    return check


def body_of(name: str, example: Any) -> dict[str, Any]:
    """The request body in OpenAPI of a route that reads its bytes itself."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


def key_of(request: Request, given: str | None, body: bytes) -> Key | None:
    """The Idempotency-Key of a request, bound to its path and body."""
    if given is None:
        return None
    owner = caller_of(request).owner
    return Key(value=given, owner=owner, path=request.url.path, body_sha256=hashlib.sha256(body).hexdigest())


def made(answer: Answer, collection: str) -> Response:
    """The answer to a request that made something in ``collection``."""
    headers = {"location": f"{collection}/{answer.made}"} | (
        {"idempotency-replayed": "true"} if answer.replayed else {}
    )
    return Response(answer.body, answer.status_code, headers, "application/json")


def etag(*parts: object) -> str:
    """A strong entity tag that names the representation by ``parts``."""
    return '"' + hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20] + '"'


def matches(request: Request, tag: str) -> bool:
    """Whether the caller has the representation already (If-None-Match)."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in given.split(",")]


def not_modified(tag: str, **headers: str) -> Response:
    """304: what you have is what there is."""
    return Response(status_code=304, headers={"etag": tag, **{k.replace("_", "-"): v for k, v in headers.items()}})


async def wait_of(
    prefer: Annotated[str | None, Header(description="`wait=30`: wait so many seconds for a change.")] = None,
) -> float:
    """The seconds that the caller is ready to wait (RFC 7240), at most 60."""
    found = re.search(r"(?:^|[\s,;])wait\s*=\s*\"?(\d{1,6})", prefer or "")
    return min(float(found[1]), MOST_WAIT_SECONDS) if found else 0.0


WaitOf = Annotated[float, Depends(wait_of)]
