"""Errors of the parser: several of one file at once, each with its place, bounded."""

from __future__ import annotations

import json

from service.http.problems import ProblemError
from service.sandbox import parser
from service.sandbox.parsing.refusals import MAX_ERRORS, Refused


def refusal(*refusals: Refused) -> parser.Refusal:
    """Return the report as the service reads it."""
    report = {"refused": Refused.together(refusals).report(), "memory": {}}
    return parser.Refusal.model_validate_json(json.dumps(report))


def test_all_columns_concerned_are_reported_at_once() -> None:
    age = Refused("not_a_number", "The cell …", place="age", row=7, column="age", cell="1,2.3\0", parameter="decimal")
    error = parser.refusal(refusal(age, Refused("bad_date", "The date …", place="born")).refused)
    assert error.detail == "The cell … The file has 1 more error, listed in `errors`."
    first, second = (ProblemError.of(one).model_dump() for one in error.errors)
    assert first == {
        "pointer": "age",
        "code": "not_a_number",
        "message": "The cell …",
        "allowed": [],
        "parameter": "decimal",
        "row": 7,
        "column": "age",
        "cell": "1,2.3�",
    }
    assert second == {"pointer": "born", "code": "bad_date", "message": "The date …", "allowed": []}


def test_number_of_reported_errors_is_bounded() -> None:
    assert len(refusal(*(Refused("bad", "Bad.", others=[Refused("worse", "Worse.")]) for _ in range(200))).refused) == (
        MAX_ERRORS
    )
