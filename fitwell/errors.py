"""Errors raised by the client.

FitwellError
├── BadAddress                 the server address or the token is malformed
├── Unreachable                no server responded
├── Misunderstood              the server is not a compatible Fitwell server
├── TimedOut                   a wait exceeded its timeout
├── RunFailed                  a run did not succeed
├── NotInstalled               an optional package is missing
└── Refused                    the server rejected the request, with a problem (RFC 9457)
    ├── BadRequest             the request is invalid; ``errors`` lists the fields
    │   ├── BadCursor, NotAcceptable, PreconditionFailed, BodyTooLarge, UnsupportedMediaType, RangeNotSatisfiable
    │   └── Unprocessable      InvalidRequest, InvalidData, KeyReused
    ├── NotAuthenticated       TokenRequired, TokenRefused
    ├── NotAllowed             ScopeMissing, NotOwner, CrossSite, HostRefused
    ├── NotFound               RunNotFound, StudyNotFound, DatasetNotFound, PresetNotFound, TokenNotFound, NotMeasured,
    │                          EndpointNotFound, DeliveryNotFound, ReproductionNotFound
    ├── Gone                   FileLost
    ├── Conflict               TransitionRefused, RunActive, StudyActive, DatasetInUse, SourceMissing, NothingToChoose,
    │                          Sealed, EndpointDisabled, TooManyEndpoints
    └── ServerError            the server is overloaded or has a bug
        ├── TooMany            QuotaExceeded, TooManyAttempts, TooManyRequests, TooManyUploads
        └── Unavailable, TookTooLong, StorageFull

The class of an error follows from the problem's ``code``, or from the status if this version does not know the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class FitwellError(Exception):
    """Base class of all errors in this package."""


class Unreachable(FitwellError):
    """No server responded at the address."""

    def __init__(self, url: str, reason: str, *, arrived: bool = False) -> None:
        super().__init__(f"No Fitwell server responds at {url} ({reason}). Start one with: fitwell serve")
        self.url = url
        self.arrived = arrived
        """Whether the request may have reached a server before the connection was cut."""


class BadAddress(FitwellError):
    """The server address or the token is malformed."""


class Misunderstood(FitwellError):
    """The server is not a Fitwell server, or an incompatible version."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} is not a compatible Fitwell server: {reason}")
        self.url = url


class TimedOut(FitwellError):
    """The run or study did not end within the timeout; it continues on the server."""


class RunFailed(FitwellError):
    """The run failed or was cancelled."""


class NotInstalled(FitwellError):
    """An optional package is missing; the message contains the command that installs it."""


class Refused(FitwellError):
    """The server rejected the request."""

    code: str = "refused"
    """The problem's stable code; on a class, the code that maps to it."""

    def __init_subclass__(cls, *, code: str) -> None:
        cls.code = code

    def __init__(self, problem: dict[str, Any]) -> None:
        self.status: int = problem.get("status", 0)
        self.code = problem.get("code", "unknown")
        self.detail: str = problem.get("detail", "")
        self.request_id: str = problem.get("request_id", "")
        self.errors: list[dict[str, Any]] = problem.get("errors", [])
        self.retry_after: float | None = problem.get("retry_after")  # seconds
        super().__init__("\n".join(self._text()))

    def lines(self) -> list[str]:
        """Return one readable line per invalid field."""
        return [f"  {_located(error)}" for error in self.errors]

    def _text(self) -> list[str]:
        """Return the lines of the message, in which each error of the body has its place."""
        message = self.errors[0]["message"] if len(self.errors) == 1 else ""
        if not message or message not in self.detail:
            return [self.detail or self.code, *self.lines()]
        located = _located(self.errors[0])
        # Pointers without a slash name a parameter or a place in a file, as the message does.
        if located in self.detail or not self.errors[0]["pointer"].startswith("/"):
            return [self.detail]
        return [self.detail.replace(message, located)]


def _located(error: dict[str, Any]) -> str:
    """Return the message of an invalid field after its pointer, if it has one."""
    return f"{error['pointer']}: {error['message']}" if error["pointer"] else error["message"]


class BadRequest(Refused, code="bad_request"):
    """The request is invalid; ``errors`` lists the fields and valid values."""


class BadCursor(BadRequest, code="bad_cursor"):
    """The pagination cursor is invalid."""


class NotAcceptable(BadRequest, code="not_acceptable"):
    """None of the requested media types is available."""


class PreconditionFailed(BadRequest, code="precondition_failed"):
    """The resource does not match If-Match."""


class BodyTooLarge(BadRequest, code="body_too_large"):
    """The request body exceeds the server's limit."""


class UnsupportedMediaType(BadRequest, code="unsupported_media_type"):
    """The endpoint does not accept the body's media type."""


class RangeNotSatisfiable(BadRequest, code="range_not_satisfiable"):
    """The requested range is outside of the file."""


class Unprocessable(BadRequest, code="unprocessable"):
    """The request is well formed but cannot be processed."""


class InvalidRequest(Unprocessable, code="invalid_request"):
    """The body or the parameters are invalid; ``errors`` lists the fields and reasons."""


class InvalidData(Unprocessable, code="invalid_data"):
    """The uploaded file contains no usable data; ``errors`` lists the reasons."""


class KeyReused(Unprocessable, code="idempotency_key_reused"):
    """The idempotency key was used with a different request."""


class NotAuthenticated(Refused, code="unauthorized"):
    """A valid token is required: pass ``Client(token=…)`` or set FITWELL_TOKEN."""


class TokenRequired(NotAuthenticated, code="token_required"):
    """The request has no token, and the server requires one."""


class TokenRefused(NotAuthenticated, code="token_refused"):
    """The token is unknown, expired or revoked."""


class NotAllowed(Refused, code="forbidden"):
    """The request is not permitted."""


class ScopeMissing(NotAllowed, code="scope_missing"):
    """The token lacks the required scope."""


class NotOwner(NotAllowed, code="not_owner"):
    """Only the owner or an admin may change the resource."""


class CrossSite(NotAllowed, code="cross_site"):
    """The request was sent by a page of another site."""


class HostRefused(NotAllowed, code="host_refused"):
    """The server does not accept the request's Host header."""


class NotFound(Refused, code="not_found"):
    """The resource does not exist."""


class RunNotFound(NotFound, code="run_not_found"):
    """No run has this id."""


class StudyNotFound(NotFound, code="study_not_found"):
    """No study has this id."""


class DatasetNotFound(NotFound, code="dataset_not_found"):
    """No dataset has this id."""


class PresetNotFound(NotFound, code="preset_not_found"):
    """No preset has this name."""


class ReproductionNotFound(NotFound, code="reproduction_not_found"):
    """No reproduction has this name."""


class TokenNotFound(NotFound, code="token_not_found"):
    """No token has this id, or it belongs to another owner."""


class NotMeasured(NotFound, code="not_measured"):
    """The run exists, but this result has not been measured."""


class EndpointNotFound(NotFound, code="webhook_endpoint_not_found"):
    """No webhook endpoint has this id."""


class DeliveryNotFound(NotFound, code="webhook_delivery_not_found"):
    """No delivery of the webhook endpoint has this id."""


class Gone(Refused, code="gone"):
    """The resource no longer exists."""


class FileLost(Gone, code="file_lost"):
    """A recorded file is missing or corrupt."""


class Conflict(Refused, code="conflict"):
    """The request conflicts with the current state of the resource."""


class TransitionRefused(Conflict, code="transition_refused"):
    """The run's state does not allow the transition."""


class RunActive(Conflict, code="run_active"):
    """The run has not ended."""


class StudyActive(Conflict, code="study_active"):
    """Some of the study's runs have not ended."""


class DatasetInUse(Conflict, code="dataset_in_use"):
    """Unfinished runs use the dataset, or it is built in."""


class SourceMissing(Conflict, code="source_missing"):
    """The file that the dataset was read from is not stored on the server, so its options cannot be changed."""


class NothingToChoose(Conflict, code="nothing_to_choose"):
    """The study has no results to choose from yet."""


class Sealed(Conflict, code="sealed"):
    """The test part of a tuned study is sealed until its choice is frozen."""


class EndpointDisabled(Conflict, code="webhook_endpoint_disabled"):
    """The webhook endpoint is disabled."""


class TooManyEndpoints(Conflict, code="too_many_webhook_endpoints"):
    """The server's limit on webhook endpoints is reached."""


class ServerError(Refused, code="internal_server_error"):
    """The server failed to process the request."""


class TooMany(ServerError, code="too_many"):
    """A rate limit or quota is exceeded; ``retry_after`` is the delay in seconds."""


class QuotaExceeded(TooMany, code="quota_exceeded"):
    """The owner has reached the token's limit on unfinished runs."""


class TooManyRequests(TooMany, code="too_many_requests"):
    """The token's request rate is exceeded."""


class TooManyAttempts(TooMany, code="too_many_attempts"):
    """Too many requests with invalid tokens came from this address."""


class TooManyUploads(TooMany, code="too_many_uploads"):
    """Too many uploads are in progress."""


class Unavailable(ServerError, code="unavailable"):
    """The server is temporarily unavailable; the request may be repeated."""


class TookTooLong(ServerError, code="took_too_long"):
    """The request exceeded its time limit and was aborted."""


class StorageFull(ServerError, code="storage_full"):
    """The server's disk is nearly full; reading still works."""


FAMILIES: dict[int, type[Refused]] = {
    401: NotAuthenticated, 403: NotAllowed, 404: NotFound, 409: Conflict, 410: Gone, 429: TooMany,
}  # fmt: skip


def refusal_classes(root: type[Refused] = Refused) -> Iterator[type[Refused]]:
    """Yield ``root`` and all of its subclasses."""
    yield root
    for subclass in root.__subclasses__():
        yield from refusal_classes(subclass)


def refusal_from(status: int, problem: dict[str, Any]) -> Refused:
    """Return the error for a problem."""
    by_code = {kind.code: kind for kind in refusal_classes() if kind is not Refused}
    family = FAMILIES.get(status, ServerError if status >= 500 else BadRequest)
    return by_code.get(problem.get("code", ""), family)({"status": status, **problem})
