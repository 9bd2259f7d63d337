"""Errors of studies.

NotFound  404  StudyNotFound
Conflict  409  StudyActive, NothingToChoose
"""

from __future__ import annotations

from service.errors import Conflict, NotFound


class StudyNotFound(NotFound):
    """No study has this id."""

    code = "study_not_found"
    title = "Study not found"


class StudyActive(Conflict):
    """Some of the study's runs have not finished."""

    code = "study_active"
    title = "Study still active"


class NothingToChoose(Conflict):
    """The study's runs do not allow a choice yet."""

    code = "nothing_to_choose"
    title = "No choice available"
