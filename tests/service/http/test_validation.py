"""Errors of bodies name what would work, once, and no pattern."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.http.patterns import EXPECTED
from service.http.validation import invalid_body
from service.runs.bodies import RunBody
from tests.conftest import body

CONTRACT = Path(__file__).parents[1] / "files" / "openapi.json"
RUN = f"run_{'0' * 26}"


@pytest.mark.parametrize(
    ("warm_start", "message"),
    [
        ({"run_id": RUN, "at": "first"}, "This must be one of best, last, averaged."),
        ({"run_id": RUN, "at": "lst"}, "This must be one of best, last, averaged. Did you mean 'last'?"),
        ({"run_id": "run_1"}, 'This must be the id of a run, such as run_01K0ABCDEFGHJKMNPQRSTVWXYZ, not "run_1".'),
        ({"run_id": RUN, "sha256": "0"}, 'This must be a SHA-256: 64 digits or letters from a to f, not "0".'),
    ],
)
def test_invalid_text_is_refused_in_words(warm_start: dict[str, Any], message: str) -> None:
    invalid = body(warm_start=warm_start)
    with pytest.raises(ValidationError) as raised:
        RunBody.model_validate_json(json.dumps(invalid))
    (error,) = invalid_body(raised.value.errors(), RunBody, invalid).errors
    assert error.message == message


def patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        node = list(node.values())
    for item in node if isinstance(node, list) else ():
        yield from patterns(item)


def test_every_pattern_of_the_api_has_words() -> None:
    assert set(patterns(json.loads(CONTRACT.read_text()))) <= set(EXPECTED)
