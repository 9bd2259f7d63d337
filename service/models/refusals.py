"""Refusals of the predictor process as HTTP errors."""

from __future__ import annotations

from service.errors import FieldError, Refusal, SpecRefused, Unavailable, Unprocessable
from service.sandbox.predicting.messages import InvalidValue, Refused

PLACES = {
    "no_metric": ("metric", "no_metric"),
    "no_data": ("/split", "dataset_missing"),
    "no_preparation": ("", "dataset_missing"),
    "none_wrong": ("first", "no_such_row"),
    "no_positive_value": ("metrics", "no_positive_value"),
}
"""Places and codes of what the predictor process refuses for an invalid request."""


def refusal_of(reply: Refused) -> Refusal:
    """Return the HTTP error for a refusal of the predictor process."""
    if reply.reason == "no_such_row":
        return SpecRefused.at(f"/indices/{reply.place}", reply.reason, reply.message)
    if reply.reason == "bad_rows":
        return SpecRefused(reply.message, errors=[_field_error(one) for one in reply.errors])
    if reply.reason in PLACES:
        place, code = PLACES[reply.reason]
        return SpecRefused.at(place, code, reply.message)
    if reply.reason == "no_space":
        return Unavailable(reply.message)
    return Unprocessable(reply.message)


def _field_error(value: InvalidValue) -> FieldError:
    """Return an invalid value of the request's rows with its place in the body."""
    return FieldError(
        f"/inputs{value.place}",
        value.code,
        value.message,
        list(value.allowed),
        row=value.row,
        column=value.column,
        cell=value.cell,
    )
