"""Errors of runs.

NotFound  404  RunNotFound, NotMeasured (NoWeights)
Conflict  409  TransitionRefused, RunActive, Sealed
TooMany   429  QuotaExceeded
"""

from __future__ import annotations

from service.errors import Conflict, NotFound, TooMany


class RunNotFound(NotFound):
    """No run has this id."""

    code = "run_not_found"
    title = "Run not found"


class NotMeasured(NotFound):
    """The run exists, but has no such measurement or file."""

    code = "not_measured"
    title = "Not measured"


class NoWeights(NotMeasured):
    """The run has not saved these weights."""

    title = "Weights not saved"


class TransitionRefused(Conflict):
    """The run's state does not allow this action."""

    code = "transition_refused"
    title = "Action not allowed"


class RunActive(Conflict):
    """The run has not finished."""

    code = "run_active"
    title = "Run still active"


class Sealed(Conflict):
    """The test part of a tuned study is sealed until its choice is frozen."""

    code = "sealed"
    title = "Test part sealed"


class QuotaExceeded(TooMany):
    """The owner has as many unfinished runs as the token allows."""

    code = "quota_exceeded"
    title = "Quota exceeded"
