"""Hostile files: a clear 422 with the reason, little memory, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.settings import Settings
from tests.service.datasets.conftest import MEMORY, Memory, Upload, files_of, left_behind
from tests.service.datasets.hostile_files import EVERY, NAMES, TABLE, X, Y, one_more
from tests.service.datasets.upload_files import csv_text, npz, png

pytestmark = pytest.mark.slow
LONGEST_DETAIL = 1000


@pytest.mark.parametrize(
    ("make", "code"),
    [pytest.param(*case, id=f"{form}: {what}") for form, cases in EVERY.items() for what, case in cases.items()],
)
def test_invalid_file_is_refused_with_a_reason_and_within_limits(
    make: Callable[[], bytes],
    code: str,
    upload: Upload,
    small: Settings,
    memory: Memory,
) -> None:
    before = files_of(small)
    answer = upload(make())
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_data"), problem
    (error,) = problem["errors"]
    assert error["code"] == code, error
    assert 10 < len(error["message"]) < LONGEST_DETAIL
    assert error["message"].isprintable()
    assert (left_behind(small), files_of(small)) == ([], before)
    (report,) = memory()
    if report:
        assert report["after"]["VmPeak"] - report["before"]["VmSize"] <= MEMORY
    else:  # its limit ended the parser before it could report
        assert code == "memory"


OPTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"target": "z"}, "no_such_column", "target"),
    ({"drop": "z"}, "no_such_column", "drop"),
    ({"drop": ["a", "b"]}, "no_inputs", ""),
    ({"drop": ["a", "b", "c"]}, "no_inputs", ""),
    ({"task": "regression"}, "target_is_text", "task"),
    ({"test_size": 1.5}, "bad_test_size", "test_size"),
    ({"test_size": 20}, "bad_test_size", "test_size"),
    ({"test_size": 0.999, "order": "time"}, "too_few_rows", ""),
    ({"grey": True}, "wrong_option", "grey"),
    ({"format": "npz"}, "unreadable", ""),
    ({"format": "zip"}, "unreadable", ""),
    ({"format": "parquet"}, "unreadable", ""),
]


@pytest.mark.parametrize(("params", "code", "place"), OPTIONS)
def test_options_that_do_not_apply_are_refused_by_name(
    params: dict[str, Any], code: str, place: str, upload: Upload
) -> None:
    problem = upload(csv_text(NAMES, TABLE), **params).json()
    (error,) = problem["errors"]
    assert (problem["status"], error["code"], error["pointer"]) == (422, code, place), problem


def test_refusal_names_the_picture_or_column(upload: Upload) -> None:
    (error,) = upload(one_more(png(np.zeros((4, 5), np.uint8)))).json()["errors"]
    assert (error["pointer"], "4×4" in error["message"], "5×4" in error["message"]) == ("class0/9.png", True, True)
    (error,) = upload(npz(x=np.where(np.arange(20).reshape(10, 2) == 13, np.nan, X), y=Y)).json()["errors"]
    assert (error["pointer"], "x[6, 1] is nan" in error["message"]) == ("x[6, 1]", True)
    (error,) = upload(csv_text(NAMES, [*TABLE, ["-inf", 2, "a"]])).json()["errors"]
    assert (error["pointer"], "row 21" in error["message"]) == ("a", True)
