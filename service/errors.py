"""Refusals a caller can act on. Anything else is a bug and becomes a 500.

Refusal
├── BadRequest         400  BadCursor
├── Unauthorized       401  TokenRequired, TokenRefused
├── Forbidden          403  ScopeMissing, NotOwner, CrossSite, HostRefused
├── NotFound           404  RunNotFound, StudyNotFound, DatasetNotFound, TokenNotFound, PresetNotFound, NotMeasured,
│                           EndpointNotFound, DeliveryNotFound
├── NotAcceptable      406
├── Conflict           409  TransitionRefused, RunActive, StudyActive, NothingToChoose, EndpointDisabled,
│                           TooManyEndpoints, DatasetInUse
├── Gone               410  FileLost
├── PreconditionFailed 412
├── TooLarge           413
├── WrongMediaType     415  WrongFileType
├── RangeRefused       416
├── Unprocessable      422  SpecRefused, KeyReused, DataRefused
├── TooMany            429  TooManyAttempts, TooManyRequests, QuotaExceeded, TooManyUploads
├── Unavailable        503
├── TookTooLong        504
└── StorageFull        507
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one place of the request."""

    pointer: str
    """JSON pointer into the body, the name of a query parameter or header, or a place in an uploaded file."""
    code: str
    message: str
    allowed: Sequence[Any] = field(default=())


class Refusal(Exception):
    """The request cannot be served as it is; ``detail`` says why and what would work."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class BadRequest(Refusal):
    """The request is not well formed."""

    code = "bad_request"
    title = "The request is not well formed"


class BadCursor(BadRequest):
    """A cursor that no page handed out."""

    code = "bad_cursor"
    title = "No page handed out this cursor"


class Unauthorized(Refusal):
    """Nobody knows who asks."""

    status = 401
    code = "unauthorized"
    title = "A token is needed"


class TokenRequired(Unauthorized):
    """No token came, and this server answers to nobody without one."""

    code = "token_required"


class TokenRefused(Unauthorized):
    """The token is unknown, expired or revoked."""

    code = "token_refused"
    title = "The token is not valid"


class Forbidden(Refusal):
    """Whoever asks may not do this."""

    status = 403
    code = "forbidden"
    title = "This is not allowed"


class ScopeMissing(Forbidden):
    """The token has not the scope that this needs."""

    code = "scope_missing"
    title = "The token has not the scope that this needs"


class NotOwner(Forbidden):
    """Only its owner or an admin changes a thing."""

    code = "not_owner"
    title = "It belongs to another owner"


class CrossSite(Forbidden):
    """A page of another site sent the request."""

    code = "cross_site"
    title = "A page of another site sent the request"


class HostRefused(Forbidden):
    """The request is addressed to a name that this server does not have."""

    code = "host_refused"
    title = "This server does not have that name"


class NotFound(Refusal):
    """There is nothing at this address."""

    status = 404
    code = "not_found"
    title = "There is nothing at this address"


class PresetNotFound(NotFound):
    """No preset has this name."""

    code = "preset_not_found"
    title = "There is no such preset"


class RunNotFound(NotFound):
    """No run has this id."""

    code = "run_not_found"
    title = "No run has this id"


class StudyNotFound(NotFound):
    """No study has this id."""

    code = "study_not_found"
    title = "No study has this id"


class TokenNotFound(NotFound):
    """No token has this id, or it is another owner's."""

    code = "token_not_found"
    title = "No token has this id"


class DatasetNotFound(NotFound):
    """No dataset has this id."""

    code = "dataset_not_found"
    title = "No dataset has this id"


class NotMeasured(NotFound):
    """The run is there, but this was not measured of it."""

    code = "not_measured"
    title = "This was not measured of the run"


class EndpointNotFound(NotFound):
    """No webhook endpoint has this id."""

    code = "webhook_endpoint_not_found"
    title = "No webhook endpoint has this id"


class DeliveryNotFound(NotFound):
    """The webhook endpoint's log has no delivery of this id."""

    code = "webhook_delivery_not_found"
    title = "The endpoint's log has no delivery of this id"


class NotAcceptable(Refusal):
    """None of the forms asked for can be given."""

    status = 406
    code = "not_acceptable"
    title = "None of the forms asked for can be given"


class Conflict(Refusal):
    """The request does not fit the state of things."""

    status = 409
    code = "conflict"
    title = "The request does not fit the state of things"


class TransitionRefused(Conflict):
    """The run's state does not allow this."""

    code = "transition_refused"
    title = "The run's state does not allow this"


class RunActive(Conflict):
    """The run has not ended."""

    code = "run_active"
    title = "The run has not ended"


class StudyActive(Conflict):
    """Some of the study's runs have not ended."""

    code = "study_active"
    title = "Some of the study's runs have not ended"


class NothingToChoose(Conflict):
    """The study's runs do not yet allow a choice."""

    code = "nothing_to_choose"
    title = "There is nothing to choose from"


class EndpointDisabled(Conflict):
    """The webhook endpoint is disabled."""

    code = "webhook_endpoint_disabled"
    title = "The webhook endpoint is disabled"


class TooManyEndpoints(Conflict):
    """There are as many webhook endpoints as this server takes."""

    code = "too_many_webhook_endpoints"
    title = "There are as many webhook endpoints as this server takes"


class Gone(Refusal):
    """It was there and is there no more."""

    status = 410
    code = "gone"
    title = "It is there no more"


class FileLost(Gone):
    """A file that was recorded is missing, or is not what was written."""

    code = "file_lost"
    title = "A recorded file is lost"


class PreconditionFailed(Refusal):
    """What is there is not what the caller has in mind."""

    status = 412
    code = "precondition_failed"
    title = "What is there has changed"


class DatasetInUse(Conflict):
    """Runs that have not ended need the dataset, or it is not one that was uploaded."""

    code = "dataset_in_use"
    title = "The dataset cannot be deleted"


class TooLarge(Refusal):
    """The body is larger than this server takes."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"


class WrongMediaType(Refusal):
    """The body is not JSON."""

    status = 415
    code = "unsupported_media_type"
    title = "The body must be JSON"


class RangeRefused(Refusal):
    """The part asked for is outside of what there is."""

    status = 416
    code = "range_not_satisfiable"
    title = "There is no such part"


class WrongFileType(WrongMediaType):
    """The body is not said to be a file of data."""

    title = "The body must be a file of data"


class Unprocessable(Refusal):
    """The request is well formed, but means nothing that can be done."""

    status = 422
    code = "unprocessable"
    title = "The request cannot be done"


class SpecRefused(Unprocessable):
    """The body does not describe something this server can do; ``errors`` says where and why."""

    code = "invalid_request"
    title = "The request is not valid"

    def below(self, place: str) -> SpecRefused:
        """The same refusal of what stands at ``place``, a JSON pointer, in a larger body."""
        errors = [replace(error, pointer=f"{place}{error.pointer}") for error in self.errors]
        return SpecRefused(self.detail, errors=errors, headers=self.headers)


class KeyReused(Unprocessable):
    """An idempotency key came with another body than the first time."""

    code = "idempotency_key_reused"
    title = "The idempotency key belongs to another request"


class TooMany(Refusal):
    """Not so much at once; Retry-After says when it may go on."""

    status = 429
    code = "too_many"
    title = "Not so much at once"


class TooManyAttempts(TooMany):
    """Too many tokens from this address were wrong."""

    code = "too_many_attempts"
    title = "Too many wrong tokens came from this address"


class TooManyRequests(TooMany):
    """The token has asked as often as it may for now."""

    code = "too_many_requests"
    title = "The token has asked as often as it may for now"


class QuotaExceeded(TooMany):
    """The owner has as many unfinished runs as its token allows."""

    code = "quota_exceeded"
    title = "The quota of unfinished runs is used up"


class DataRefused(Unprocessable):
    """An uploaded file is not data that can be trained on; ``errors`` says where and why."""

    code = "invalid_data"
    title = "The file is not data that can be trained on"


class TooManyUploads(TooMany):
    """As many uploads as the server takes at once are being received."""

    code = "too_many_uploads"
    title = "The server is busy with other uploads"


class Unavailable(Refusal):
    """Not now; the same request may be made again."""

    status = 503
    code = "unavailable"
    title = "The service cannot answer now"


class TookTooLong(Refusal):
    """It was begun and given up, since it took too long."""

    status = 504
    code = "took_too_long"
    title = "It took too long"


class StorageFull(Refusal):
    """What is asked for would need room on a disk that is nearly full."""

    status = 507
    code = "storage_full"
    title = "The disk is nearly full"
