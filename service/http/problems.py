"""Errors on the wire: RFC 9457 problems, one form for every error of this server."""

from __future__ import annotations

import http
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
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
from service.http.routing import query_model
from service.http.validation import invalid_parameters
from worker import logs
from worker.blob_store import StorageUnavailable

LOG = logging.getLogger("fitwell.api")
MEDIA_TYPE = "application/problem+json"
SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def _is_none(value: object) -> bool:
    return value is None


class ProblemError(BaseModel):
    """One invalid place of the request."""

    pointer: str = Field(
        description="JSON pointer into the body, or the parameter's name.", examples=["/regularizers/0/p"]
    )
    code: str
    message: str
    allowed: list[Any] = Field(default=[], description="The values that would be accepted, if they can be listed.")
    parameter: str | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Uploads: the option that would accept the file, or that is wrong for it.",
    )
    row: int | None = Field(
        default=None, exclude_if=_is_none, description="Uploads: the row, counted from 1 without the header."
    )
    column: str | None = Field(default=None, exclude_if=_is_none, description="Uploads: the column's name.")
    cell: str | None = Field(default=None, exclude_if=_is_none, description="Uploads: the text in this row and column.")

    @classmethod
    def of(cls, error: FieldError) -> ProblemError:
        """Return the view of an error."""
        return cls(**{**asdict(error), "allowed": list(error.allowed)})


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
    """Return the ``responses`` of a route that can raise ``refusals``."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        empty = {"description": "", "content": {MEDIA_TYPE: {}}, "model": Problem}
        response = by_status.setdefault(refusal.status, empty)
        response["description"] = f"{response['description']}; {refusal.title}".removeprefix("; ")
    return by_status


class RequestIds:
    """Middleware that gives every request an id, the client's own if it is safe, and returns it as a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        header = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = header.decode() if SAFE_ID.fullmatch(header) else f"req_{ULID()}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with logs.about(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def problem(request: Request, refusal: Refusal, *, status: int | None = None) -> Response:
    """Return the response for a refusal."""
    body = Problem(
        type="about:blank",
        title=refusal.title,
        status=status or refusal.status,
        detail=refusal.detail,
        code=refusal.code,
        request_id=getattr(request.state, "request_id", ""),
        errors=[ProblemError.of(error) for error in refusal.errors],
    )
    return Response(body.model_dump_json(), body.status, {**refusal.headers, "cache-control": "no-store"}, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Turn every error of ``app`` into a problem."""
    app.add_middleware(RequestIds)
    handlers: Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        Refusal: _refusal,
        HTTPException: _http_error,
        RequestValidationError: _invalid_parameters,
        sqlalchemy.exc.OperationalError: database_down,
        sqlalchemy.exc.DataError: _unstorable_text,
        StorageUnavailable: _storage_down,
        Exception: _bug,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _refusal(request: Request, error: Refusal) -> Response:
    return problem(request, error)


async def _http_error(request: Request, error: HTTPException) -> Response:
    """Explain what the framework itself refuses: an unknown path or method."""

    class FrameworkRefusal(Refusal):
        status = error.status_code
        code = http.HTTPStatus(error.status_code).name.lower()
        title = http.HTTPStatus(error.status_code).phrase

    path = request.url.path
    if error.status_code == 404:
        hint = f"Did you mean {path.rstrip('/')}?" if path.endswith("/") else "GET /openapi.json lists all paths."
        return problem(request, NotFound(f"Nothing exists at {path}. {hint}"))
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == 405:
        allowed = headers.get("Allow", headers.get("allow", ""))
        detail = f"{path} does not support {request.method}; it supports {allowed}."
    return problem(request, FrameworkRefusal(detail, headers=headers))


async def _invalid_parameters(request: Request, error: RequestValidationError) -> Response:
    """Explain invalid parameters; invalid bodies are explained where they are read."""
    return problem(request, invalid_parameters(error.errors(), query_model(request.scope["route"].dependant)))


async def database_down(request: Request, error: sqlalchemy.exc.OperationalError) -> Response:
    """Return 503: the database did not respond."""
    LOG.warning("the database did not respond: %s", error.orig)
    refusal = Unavailable("The database did not respond; nothing was changed. Try again.", headers={"retry-after": "1"})
    return problem(request, refusal)


async def _storage_down(request: Request, error: StorageUnavailable) -> Response:
    LOG.warning("%s", error)
    refusal = Unavailable(
        "The storage of weights and datasets did not respond; see the server's log. Try again.",
        headers={"retry-after": "5"},
    )
    return problem(request, refusal)


async def _unstorable_text(request: Request, error: sqlalchemy.exc.DataError) -> Response:
    LOG.info("a text cannot be stored: %s", error.orig)
    refusal = SpecRefused(
        "A text in the request contains a character that cannot be stored, such as NUL; nothing was changed."
    )
    return problem(request, refusal)


async def _bug(request: Request, error: Exception) -> Response:
    class Bug(Refusal):
        status = 500
        code = "internal_error"
        title = "Internal server error"

    LOG.error("unexpected error", exc_info=error)
    return problem(request, Bug("Unexpected error. The server's log has the details under this request_id."))
