"""Columns of an upload that are no tokens of the model are refused at submission, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.runs.submission.token_columns import token_errors
from tests.typed_tables import category, date, number, stored_with_report
from worker.spec.run import RunSpec
from worker.spec.tables.columns import Columns
from worker.spec.tables.files import read_header, schema_of

TOKENS = np.arange(20) % 5
FRACTIONS = TOKENS.copy().astype(float)
FRACTIONS[7] = 1.5
UNSCALED: dict[str, Any] = {"number": {"kind": "number", "scale": "none"}}
CASES: list[tuple[list[Any], dict[str, Any], str, int | None]] = [
    ([number("a", TOKENS), number("b", TOKENS[::-1])], {}, "", None),
    ([number("a", TOKENS), number("late", [*TOKENS[:-1], 8])], {}, "'late' has tokens up to 8, and a vocabulary", 9),
    ([number("a", TOKENS), number("b", FRACTIONS)], {}, "'b' has fractions", None),
    ([number("a", TOKENS), number("b", TOKENS - 1)], {}, "'b' has numbers from -1 on", None),
    ([number("huge", TOKENS * 1e200)], {}, "tokens up to 4e+200", None),
    ([number("a", TOKENS), date("when", TOKENS)], {}, "'when' has fractions", None),
    ([number("a", TOKENS), date("when", TOKENS)], {"leave_out": ["when"]}, "", None),
    ([number("a", TOKENS)], {"by_name": {"a": {"kind": "number", "scale": "minmax"}}}, "'a' has fractions", None),
    ([category("c", ["x", "y"] * 10)], {}, "", None),
    ([category("c", ["x", "y"] * 10)], {"category": {"encode": "ordinal"}}, "'c' has fractions", None),
    ([number("a", [np.nan, *TOKENS[1:]])], {}, "", None),
    (
        [number("a", [np.nan, *TOKENS[1:]])],
        {"number": {"scale": "none", "impute": "constant", "fill": 6}},
        "up to 6",
        7,
    ),
]


@pytest.mark.parametrize(("inputs", "columns", "message", "vocabulary"), CASES)
def test_column_without_tokens_is_refused_with_the_vocabulary_that_works(
    inputs: list[Any], columns: dict[str, Any], message: str, vocabulary: int | None, tmp_path: Path
) -> None:
    target = category("y", ["p", "q"] * 10)
    prepared = Columns.model_validate({**UNSCALED, **columns}, strict=False)
    dataset, report = stored_with_report(tmp_path, [*inputs, target], prepared, order="time")
    file = dataset.file(tmp_path)
    assert file is not None
    layers = [{"kind": "embedding", "vocabulary": 5, "width": 2}]
    model = {"kind": "sequential", "layers": layers}
    fields = {"dataset": dataset.model_dump(mode="json"), "model": model, "optimizer": {"kind": "sgd", "lr": 0.1}}
    errors = token_errors(RunSpec.of(fields), schema_of(read_header(file)), report["table"]["columns"])
    assert bool(errors) == bool(message)
    for error in errors:
        assert message in error.message
        assert error.pointer == "/model/layers/0" + ("/vocabulary" if "up to" in message else "")
        assert list(error.allowed) == ([] if vocabulary is None else [vocabulary])
