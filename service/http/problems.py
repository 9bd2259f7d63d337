"""Refusals on the wire: RFC 9457 problems, the same for every error this server can answer."""

from __future__ import annotations

import http
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy.exc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from service.errors import FieldError, NotFound, Refusal, SpecRefused, Unavailable
from service.http.names import NO_CONTROLS, PLAIN
from worker import logs
from worker.blob_store import StorageUnavailable

LOG = logging.getLogger("fitwell.api")
MEDIA_TYPE = "application/problem+json"
SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class ProblemError(BaseModel):
    """What is wrong with one place of the request."""

    pointer: str = Field(
        description="JSON pointer into the body, or the parameter's name.", examples=["/regularizers/0/p"]
    )
    code: str
    message: str
    allowed: list[Any] = Field(default=[], description="What would work, where it can be listed.")


class Problem(BaseModel):
    """Why a request was refused, and what would work (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable, for programs.")
    request_id: str
    errors: list[ProblemError] = []


def problems(*refusals: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that can refuse so."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        said = by_status.setdefault(refusal.status, {"description": "", "content": {MEDIA_TYPE: {}}, "model": Problem})
        said["description"] = f"{said['description']}; {refusal.title}".removeprefix("; ")
    return by_status


class RequestIds:
    """Gives every request an id, the caller's own where it is sane, and answers with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given.decode() if SANE_ID.fullmatch(given) else f"req_{ULID()}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with logs.about(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def problem(request: Request, refusal: Refusal, *, status: int | None = None) -> Response:
    """The answer for a refusal."""
    body = Problem(
        type="about:blank",
        title=refusal.title,
        status=status or refusal.status,
        detail=refusal.detail,
        code=refusal.code,
        request_id=getattr(request.state, "request_id", ""),
        errors=[
            ProblemError(pointer=e.pointer, code=e.code, message=e.message, allowed=list(e.allowed))
            for e in refusal.errors
        ],
    )
    return Response(body.model_dump_json(), body.status, {**refusal.headers, "cache-control": "no-store"}, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""
    app.add_middleware(RequestIds)
    handlers: Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        Refusal: _refused,
        HTTPException: _http_error,
        RequestValidationError: _bad_parameters,
        sqlalchemy.exc.OperationalError: database_down,
        sqlalchemy.exc.DataError: _bad_text,
        StorageUnavailable: _storage_down,
        Exception: _bug,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _refused(request: Request, error: Refusal) -> Response:
    return problem(request, error)


async def _http_error(request: Request, error: HTTPException) -> Response:
    """What the framework refuses: an unknown path, a method that is not there."""

    class Other(Refusal):
        status = error.status_code
        code = http.HTTPStatus(error.status_code).name.lower()
        title = http.HTTPStatus(error.status_code).phrase

    path = request.url.path
    if error.status_code == 404:
        return problem(request, NotFound(f"There is nothing at {path}. GET /openapi.json lists what there is."))
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == 405:
        detail = f"{request.method} is not possible at {path}; {headers.get('Allow', headers.get('allow', ''))} is."
    return problem(request, Other(detail, headers=headers))


async def _bad_parameters(request: Request, error: RequestValidationError) -> Response:
    errors = [
        FieldError(_parameter(e["loc"]), e["type"], _said(e), tuple(e.get("ctx", {}).get("allowed", ())))
        for e in error.errors()
    ]
    return problem(request, SpecRefused(f"{errors[0].pointer}: {errors[0].message}", errors=errors))


def _said(error: Mapping[str, Any]) -> str:
    return NO_CONTROLS if error.get("ctx", {}).get("pattern") == PLAIN else f"{error['msg']}."


def _parameter(loc: Sequence[int | str]) -> str:
    """The parameter's name; of one that is given several times, a number says which of them is wrong."""
    return next(str(step) for step in reversed(loc) if isinstance(step, str))


async def database_down(request: Request, error: sqlalchemy.exc.OperationalError) -> Response:
    """The answer where the database gave none."""
    LOG.warning("the database did not answer: %s", error.orig)
    refusal = Unavailable("The database did not answer; nothing was changed. Try again.", headers={"retry-after": "1"})
    return problem(request, refusal)


async def _storage_down(request: Request, error: StorageUnavailable) -> Response:
    LOG.warning("%s", error)
    refusal = Unavailable(
        "The storage of weights and datasets did not answer; the server's log says why. Try again.",
        headers={"retry-after": "5"},
    )
    return problem(request, refusal)


async def _bad_text(request: Request, error: sqlalchemy.exc.DataError) -> Response:
    LOG.info("a text cannot be stored: %s", error.orig)
    refusal = SpecRefused(
        "A text in the request holds a character that cannot be stored, such as NUL; nothing was changed."
    )
    return problem(request, refusal)


async def _bug(request: Request, error: Exception) -> Response:
    class Bug(Refusal):
        status = 500
        code = "internal_error"
        title = "This is a bug of the server"

    LOG.error("unexpected", exc_info=error)
    return problem(request, Bug("Something went wrong here. The server's log has the details under the request_id."))
