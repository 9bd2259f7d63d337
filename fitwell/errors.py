"""What can go wrong, as seen by a client.

FitwellError
├── Unreachable        no server answered
├── TimedOut           a wait took longer than allowed
├── RunFailed          a run that was waited for did not succeed
└── Refused            the server refused, with a problem (RFC 9457)
    ├── BadRequest         400, 406, 413, 415, 422: the request is wrong; ``errors`` says where
    ├── NotAuthenticated   401: there is no token, or not a valid one
    ├── NotAllowed         403: the token may not do this, or the thing is another owner's
    ├── NotFound           404
    ├── Conflict           409
    └── ServerError        429, 5xx: not now, or a bug
"""

from __future__ import annotations

from typing import Any


class FitwellError(Exception):
    """Anything this package raises on purpose."""


class Unreachable(FitwellError):
    """No server answered at the address."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"No Fitwell server answers at {url} ({reason}). Start one with: fitwell serve")
        self.url = url


class TimedOut(FitwellError):
    """The run did not end in the time allowed; it goes on."""


class RunFailed(FitwellError):
    """The run ended otherwise than by success."""


class Refused(FitwellError):
    """The server refused the request."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.status: int = problem.get("status", 0)
        self.code: str = problem.get("code", "unknown")
        self.detail: str = problem.get("detail", "")
        self.request_id: str = problem.get("request_id", "")
        self.errors: list[dict[str, Any]] = problem.get("errors", [])
        super().__init__("\n".join([self.detail, *self.lines()]))

    def lines(self) -> list[str]:
        """One line for each place that is wrong, as a person wants to read it."""
        return [f"  {error['pointer']}: {error['message']}" for error in self.errors]


class BadRequest(Refused):
    """The request is wrong; ``errors`` says where, and what would work."""


class NotAuthenticated(Refused):
    """The server needs a token (``Client(token=…)`` or FITWELL_TOKEN), or does not take this one."""


class NotAllowed(Refused):
    """The token may not do this, or the thing belongs to another owner."""


class NotFound(Refused):
    """There is no such thing."""


class Conflict(Refused):
    """The request does not fit the state of things."""


class ServerError(Refused):
    """The server cannot answer now, or has a bug."""


def refusal_of(status: int, problem: dict[str, Any]) -> Refused:
    """The error for a problem."""
    problem = {"status": status, **problem}
    if status == 401:
        return NotAuthenticated(problem)
    if status == 403:
        return NotAllowed(problem)
    if status == 404:
        return NotFound(problem)
    if status == 409:
        return Conflict(problem)
    if status == 429 or status >= 500:
        return ServerError(problem)
    return BadRequest(problem)
