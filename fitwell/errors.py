"""What can go wrong, as seen by a client.

FitwellError
├── BadAddress                 the address or the token can be none
├── Unreachable                no server answered
├── Misunderstood              what answered is no Fitwell server, or one of another time
├── TimedOut                   a wait took longer than allowed
├── RunFailed                  a run that was waited for did not succeed
├── NotInstalled               an optional package is needed for this
└── Refused                    the server refused, with a problem (RFC 9457)
    ├── BadRequest             the request is wrong; ``errors`` says where
    │   ├── BadCursor, NotAcceptable, PreconditionFailed, BodyTooLarge, UnsupportedMediaType, RangeNotSatisfiable
    │   └── Unprocessable      InvalidRequest, InvalidData, KeyReused
    ├── NotAuthenticated       TokenRequired, TokenRefused
    ├── NotAllowed             ScopeMissing, NotOwner, CrossSite, HostRefused
    ├── NotFound               RunNotFound, StudyNotFound, DatasetNotFound, PresetNotFound, TokenNotFound, NotMeasured,
    │                          EndpointNotFound, DeliveryNotFound
    ├── Gone                   FileLost
    ├── Conflict               TransitionRefused, RunActive, StudyActive, DatasetInUse, NothingToChoose,
    │                          EndpointDisabled, TooManyEndpoints
    └── ServerError            not now, or a bug
        ├── TooMany            QuotaExceeded, TooManyAttempts, TooManyRequests, TooManyUploads
        └── Unavailable, TookTooLong, StorageFull

A problem becomes the class of its ``code``; one that this version does not know, the class of its status.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class FitwellError(Exception):
    """Anything this package raises on purpose."""


class Unreachable(FitwellError):
    """No server answered at the address."""

    def __init__(self, url: str, reason: str, *, arrived: bool = False) -> None:
        super().__init__(f"No Fitwell server answers at {url} ({reason}). Start one with: fitwell serve")
        self.url = url
        self.arrived = arrived
        """Whether the request may have reached a server before the connection was cut."""


class BadAddress(FitwellError):
    """The address or the token can be none; the message says why."""


class Misunderstood(FitwellError):
    """What answered is no Fitwell server, or one of another time."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"What answers at {url} is no Fitwell server that this client understands: {reason}")
        self.url = url


class TimedOut(FitwellError):
    """The run did not end in the time allowed; it goes on."""


class RunFailed(FitwellError):
    """The run ended otherwise than by success."""


class NotInstalled(FitwellError):
    """An optional package is needed for this; the message says which, and how to get it."""


class Refused(FitwellError):
    """The server refused the request."""

    code: str = "refused"
    """Stable, for programs; of a class, the code that becomes it."""

    def __init_subclass__(cls, *, code: str) -> None:
        cls.code = code

    def __init__(self, problem: dict[str, Any]) -> None:
        self.status: int = problem.get("status", 0)
        self.code = problem.get("code", "unknown")
        self.detail: str = problem.get("detail", "")
        self.request_id: str = problem.get("request_id", "")
        self.errors: list[dict[str, Any]] = problem.get("errors", [])
        self.retry_after: float | None = problem.get("retry_after")
        """When to come back, in seconds, where the server said so."""
        told_already = len(self.errors) == 1 and self.errors[0]["message"] in self.detail
        super().__init__("\n".join([self.detail or self.code, *([] if told_already else self.lines())]))

    def lines(self) -> list[str]:
        """One line for each place that is wrong, as a person wants to read it."""
        return [f"  {error['pointer']}: {error['message']}" for error in self.errors]


class BadRequest(Refused, code="bad_request"):
    """The request is wrong; ``errors`` says where, and what would work."""


class BadCursor(BadRequest, code="bad_cursor"):
    """No page handed out this cursor."""


class NotAcceptable(BadRequest, code="not_acceptable"):
    """None of the forms asked for can be given."""


class PreconditionFailed(BadRequest, code="precondition_failed"):
    """What is there is not what the request has in mind."""


class BodyTooLarge(BadRequest, code="body_too_large"):
    """The body is larger than the server takes."""


class UnsupportedMediaType(BadRequest, code="unsupported_media_type"):
    """The body is of a type that is not taken here."""


class RangeNotSatisfiable(BadRequest, code="range_not_satisfiable"):
    """The part asked for is outside of what there is."""


class Unprocessable(BadRequest, code="unprocessable"):
    """The request is well formed, but means nothing that can be done."""


class InvalidRequest(Unprocessable, code="invalid_request"):
    """The body does not describe something the server can do; ``errors`` says where and why."""


class InvalidData(Unprocessable, code="invalid_data"):
    """The file is not data that can be trained on; ``errors`` says where and why."""


class KeyReused(Unprocessable, code="idempotency_key_reused"):
    """The idempotency key belongs to another request."""


class NotAuthenticated(Refused, code="unauthorized"):
    """The server needs a token (``Client(token=…)`` or FITWELL_TOKEN), or does not take this one."""


class TokenRequired(NotAuthenticated, code="token_required"):
    """The server answers to nobody without a token."""


class TokenRefused(NotAuthenticated, code="token_refused"):
    """The token is unknown, expired or revoked."""


class NotAllowed(Refused, code="forbidden"):
    """The token may not do this, or the thing belongs to another owner."""


class ScopeMissing(NotAllowed, code="scope_missing"):
    """The token has not the scope that this needs."""


class NotOwner(NotAllowed, code="not_owner"):
    """Only its owner or an admin changes it."""


class CrossSite(NotAllowed, code="cross_site"):
    """A page of another site sent the request."""


class HostRefused(NotAllowed, code="host_refused"):
    """The server does not have the name that it was called by."""


class NotFound(Refused, code="not_found"):
    """There is no such thing."""


class RunNotFound(NotFound, code="run_not_found"):
    """No run has this id."""


class StudyNotFound(NotFound, code="study_not_found"):
    """No study has this id."""


class DatasetNotFound(NotFound, code="dataset_not_found"):
    """No dataset has this id."""


class PresetNotFound(NotFound, code="preset_not_found"):
    """There is no such preset."""


class TokenNotFound(NotFound, code="token_not_found"):
    """No token has this id, or it is another owner's."""


class NotMeasured(NotFound, code="not_measured"):
    """The run is there, but this was not measured of it, or not yet."""


class EndpointNotFound(NotFound, code="webhook_endpoint_not_found"):
    """No webhook endpoint has this id."""


class DeliveryNotFound(NotFound, code="webhook_delivery_not_found"):
    """The webhook endpoint's log has no delivery of this id."""


class Gone(Refused, code="gone"):
    """It was there and is there no more."""


class FileLost(Gone, code="file_lost"):
    """A file that was recorded is missing, or is not what was written."""


class Conflict(Refused, code="conflict"):
    """The request does not fit the state of things."""


class TransitionRefused(Conflict, code="transition_refused"):
    """The run's state does not allow this."""


class RunActive(Conflict, code="run_active"):
    """The run has not ended."""


class StudyActive(Conflict, code="study_active"):
    """Some of the study's runs have not ended."""


class DatasetInUse(Conflict, code="dataset_in_use"):
    """Runs that have not ended need the dataset, or it is not one that was uploaded."""


class NothingToChoose(Conflict, code="nothing_to_choose"):
    """The study's runs do not yet allow a choice."""


class EndpointDisabled(Conflict, code="webhook_endpoint_disabled"):
    """The webhook endpoint is disabled."""


class TooManyEndpoints(Conflict, code="too_many_webhook_endpoints"):
    """There are as many webhook endpoints as the server takes."""


class ServerError(Refused, code="internal_server_error"):
    """The server cannot answer now, or has a bug."""


class TooMany(ServerError, code="too_many"):
    """Not so much at once; ``retry_after`` says when it may go on."""


class QuotaExceeded(TooMany, code="quota_exceeded"):
    """The owner has as many unfinished runs as its token allows."""


class TooManyRequests(TooMany, code="too_many_requests"):
    """The token has asked as often as it may for now."""


class TooManyAttempts(TooMany, code="too_many_attempts"):
    """Too many wrong tokens came from this address."""


class TooManyUploads(TooMany, code="too_many_uploads"):
    """The server is busy with other uploads."""


class Unavailable(ServerError, code="unavailable"):
    """Not now; the same request may be made again."""


class TookTooLong(ServerError, code="took_too_long"):
    """It was begun and given up, since it took too long."""


class StorageFull(ServerError, code="storage_full"):
    """The server's disk is nearly full; what is there can be read."""


FAMILIES: dict[int, type[Refused]] = {
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: Gone,
    429: TooMany,
}


def kinds(root: type[Refused] = Refused) -> Iterator[type[Refused]]:
    """``root`` and every class below it."""
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


def refusal_of(status: int, problem: dict[str, Any]) -> Refused:
    """The error for a problem."""
    problem = {"status": status, **problem}
    by_code = {kind.code: kind for kind in kinds() if kind is not Refused}
    family = FAMILIES.get(status, ServerError if status >= 500 else BadRequest)
    return by_code.get(problem.get("code", ""), family)(problem)
