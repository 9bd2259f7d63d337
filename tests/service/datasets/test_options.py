"""Options of reading: one form in queries, one in bodies, the same for the parser."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from service.datasets.bodies import OptionsBody, pointing_into_body
from service.datasets.options import ReadingOptions, changed, stored
from service.datasets.parameters import UploadQuery
from service.errors import DataRefused, FieldError
from service.sandbox.parsing.options import Options

QUERY: dict[str, Any] = {
    "format": "csv",
    "target": "y",
    "drop": ["a", "0"],
    "header": "false",
    "task": "regression",
    "test_size": "0.3",
    "order": "time",
    "seed": "3",
    "grey": "true",
    "encoding": "cp1252",
    "delimiter": "\\t",
    "decimal": ",",
    "missing": ["none", ""],
    "types": ["age=number", "a=b=category"],
    "sheet": "Data",
    "member": "a.csv",
    "group": "patient",
    "time": "day",
    "split": "part",
    "weight": "w",
    "lags": "12",
    "horizon": "2",
    "rolling": ["3", "12"],
    "size": "64x48",
    "center_crop": "true",
    "classes": ["cat", "dog"],
    "arrays": ["x=images", "y=labels"],
}
OPTIONS = Options(
    format="csv",
    target="y",
    drop=("a", "0"),
    header=False,
    task="regression",
    test_size=0.3,
    order="time",
    seed=3,
    grey=True,
    encoding="cp1252",
    delimiter="\t",
    decimal=",",
    missing=("none", ""),
    types={"age": "number", "a=b": "category"},
    sheet="Data",
    member="a.csv",
    group="patient",
    time="day",
    split="part",
    weight="w",
    lags=12,
    horizon=2,
    rolling=(3, 12),
    size=(64, 48),
    center_crop=True,
    classes=("cat", "dog"),
    arrays={"x": "images", "y": "labels"},
)


def test_query_and_body_name_every_option_of_the_parser() -> None:
    names = set(Options.__dataclass_fields__)
    assert set(QUERY) == set(ReadingOptions.model_fields) == set(OptionsBody.model_fields) == names
    assert set(UploadQuery.model_fields) == names | {"name"}


def test_query_becomes_options_that_are_stored_and_read_back() -> None:
    assert UploadQuery.model_validate(QUERY).options("parquet") == OPTIONS
    assert changed(stored(OPTIONS), {}) == OPTIONS
    assert ReadingOptions.model_validate(stored(OPTIONS)).size == (64, 48)
    assert UploadQuery().options("parquet") == Options(format="parquet")
    assert stored(Options()) == {}
    assert UploadQuery(size="64").options(None).size == (64, 64)


def test_patch_changes_what_it_names_and_null_restores_a_default() -> None:
    body = OptionsBody.model_validate_json('{"types": {"age": null, "zip": "category"}, "lags": 0, "drop": null}')
    after = changed(stored(OPTIONS), body.patch())
    assert (after.types, after.lags, after.drop) == ({"a=b": "category", "zip": "category"}, 0, ())
    assert (after.target, after.rolling) == (OPTIONS.target, OPTIONS.rolling)


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("delimiter", "::", "one character"),
        ("delimiter", '"', "one character"),
        ("encoding", "hex", "examples: utf-8"),
        ("types", "age", "="),
        ("types", "age=float", "'age=float' is not column=type; types are number, category"),
        ("lags", "1001", "less than or equal to 1000"),
        ("horizon", "0", "greater than or equal to 1"),
        ("rolling", "1", "greater than or equal to 2"),
        ("size", "64x0", "pattern"),
        ("size", "9999x64", "at most 4096 × 4096"),
        ("missing", "x" * 257, "at most 256"),
    ],
)
def test_value_out_of_bounds_is_refused(option: str, value: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=option) as error:
        UploadQuery.model_validate({option: [value] if isinstance(QUERY[option], list) else value})
    assert reason in str(error.value)


def test_errors_about_options_point_into_the_body() -> None:
    option = FieldError("target", "no_such_column", "Unknown column.", parameter="target")
    column = FieldError("a/b", "mixed", "Mixed formats.", parameter="types")
    pointers = [error.pointer for error in pointing_into_body(DataRefused("…", errors=[option, column])).errors]
    assert pointers == ["/target", "a/b"]
