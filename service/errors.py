"""Errors that a caller can act on. Anything else is a bug and becomes a 500.

Refusal
├── BadRequest         400  BadCursor
├── Unauthorized       401  TokenRequired, TokenRefused
├── Forbidden          403  ScopeMissing, NotOwner, CrossSite, HostRefused
├── NotFound           404
├── NotAcceptable      406
├── Conflict           409
├── Gone               410
├── PreconditionFailed 412
├── TooLarge           413
├── WrongMediaType     415
├── RangeRefused       416
├── Unprocessable      422  SpecRefused, KeyReused, DataRefused
├── TooMany            429  TooManyAttempts, TooManyRequests
├── Unavailable        503
├── TookTooLong        504
└── StorageFull        507

A feature's own errors are in its ``errors`` module, such as ``service.runs.errors``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class FieldError:
    """One invalid place of the request."""

    pointer: str
    """JSON pointer into the body, the name of a query parameter or header, or a place in an uploaded file."""
    code: str
    message: str
    allowed: Sequence[Any] = field(default=())
    parameter: str | None = None
    """The option that would accept an uploaded file, or that is wrong for it."""
    row: int | None = None
    """Of an uploaded file, counted from 1 without the header."""
    column: str | None = None
    cell: str | None = None
    """The text of the cell in this row and column."""


class Refusal(Exception):
    """The request cannot be served; ``detail`` says why and what would work."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"
    title: ClassVar[str] = "Request refused"

    def __init__(
        self, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class BadRequest(Refusal):
    """The request is malformed."""

    code = "bad_request"
    title = "Bad request"


class BadCursor(BadRequest):
    """The cursor is not one that this list returned."""

    code = "bad_cursor"
    title = "Invalid cursor"


class Unauthorized(Refusal):
    """The request is not authenticated."""

    status = 401
    code = "unauthorized"
    title = "Not authenticated"


class TokenRequired(Unauthorized):
    """The request has no token, and this server requires one."""

    code = "token_required"


class TokenRefused(Unauthorized):
    """The token is unknown, expired or revoked."""

    code = "token_refused"
    title = "Invalid token"


class Forbidden(Refusal):
    """The caller is not allowed to do this."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


class ScopeMissing(Forbidden):
    """The token lacks the required scope."""

    code = "scope_missing"
    title = "Missing scope"


class NotOwner(Forbidden):
    """Only the owner or an admin can change this."""

    code = "not_owner"
    title = "Not the owner"


class CrossSite(Forbidden):
    """A page of another site sent the request."""

    code = "cross_site"
    title = "Cross-site request"


class HostRefused(Forbidden):
    """The Host header does not name this server."""

    code = "host_refused"
    title = "Unknown host"


class NotFound(Refusal):
    """Nothing exists at this address."""

    status = 404
    code = "not_found"
    title = "Not found"


class NotAcceptable(Refusal):
    """The response is not available in any format that Accept names."""

    status = 406
    code = "not_acceptable"
    title = "Not acceptable"


class Conflict(Refusal):
    """The request conflicts with the current state."""

    status = 409
    code = "conflict"
    title = "Conflict"


class Gone(Refusal):
    """The resource existed and was removed."""

    status = 410
    code = "gone"
    title = "Gone"


class PreconditionFailed(Refusal):
    """The resource is not the version that If-Match names."""

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"


class TooLarge(Refusal):
    """The body is larger than this server accepts."""

    status = 413
    code = "body_too_large"
    title = "Body too large"


class WrongMediaType(Refusal):
    """The Content-Type is not JSON."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class RangeRefused(Refusal):
    """The requested range is outside the file."""

    status = 416
    code = "range_not_satisfiable"
    title = "Range not satisfiable"


class Unprocessable(Refusal):
    """The request is well-formed but cannot be processed."""

    status = 422
    code = "unprocessable"
    title = "Unprocessable request"


class SpecRefused(Unprocessable):
    """The body or a parameter is invalid; ``errors`` lists the invalid places."""

    code = "invalid_request"
    title = "Invalid request"

    @classmethod
    def at(cls, pointer: str, code: str, message: str, *, allowed: Sequence[Any] = ()) -> Self:
        """Return the error of a single place: ``SpecRefused.at("/epochs", "too_few", "epochs must be …")``."""
        return cls(message, errors=[FieldError(pointer, code, message, allowed)])

    def below(self, place: str) -> SpecRefused:
        """Return the same error for a body that is nested at ``place``, a JSON pointer, in a larger body."""
        errors = [replace(error, pointer=f"{place}{error.pointer}") for error in self.errors]
        located = len(errors) == 1 and place != ""
        detail = f"{errors[0].pointer}: {errors[0].message}" if located else self.detail
        return SpecRefused(detail, errors=errors, headers=self.headers)


class KeyReused(Unprocessable):
    """The Idempotency-Key was used with a different request before."""

    code = "idempotency_key_reused"
    title = "Idempotency key reused"


class DataRefused(Unprocessable):
    """The uploaded file is not valid training data; ``errors`` lists the invalid places."""

    code = "invalid_data"
    title = "Invalid data"


class TooMany(Refusal):
    """The caller exceeded a limit; Retry-After says when to try again."""

    status = 429
    code = "too_many"
    title = "Too many requests"


class TooManyAttempts(TooMany):
    """This address sent too many invalid tokens."""

    code = "too_many_attempts"
    title = "Too many invalid tokens"


class TooManyRequests(TooMany):
    """The token exceeded its rate limit."""

    code = "too_many_requests"


class Unavailable(Refusal):
    """The service cannot answer now; retry the same request."""

    status = 503
    code = "unavailable"
    title = "Service unavailable"


class TookTooLong(Refusal):
    """The operation exceeded its time limit and was stopped."""

    status = 504
    code = "took_too_long"
    title = "Timed out"


class StorageFull(Refusal):
    """The server's disk is nearly full."""

    status = 507
    code = "storage_full"
    title = "Insufficient storage"
