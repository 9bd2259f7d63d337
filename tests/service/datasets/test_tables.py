"""Tables as datasets: roles of columns, splits, series, weights, and warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.sandbox.parsing.options import Options
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.tables.columns import Column, Table
from service.sandbox.parsing.tables.datasets import write_dataset
from tests.typed_tables import LIMITS, category, date, number, stored_with_report

CLASSES = ["a", "b"] * 20


def table() -> list[Column]:
    return [
        number("x", np.arange(40.0)),
        category("patient", [f"p{i // 4}" for i in range(40)]),
        category("name", [f"n{i}" for i in range(40)], "id"),
        number("v", [1e300, *np.ones(39)]),
        category("part", ["Train"] * 24 + ["VAL"] * 8 + ["test"] * 8),
        number("w", np.arange(1.0, 41)),
        category("y", CLASSES),
    ]


def report_of(home: Path, columns: list[Column], **options: Any) -> dict[str, Any]:
    return stored_with_report(home, columns, **options)[1]


def roles_in(report: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["role"] for column in report["table"]["columns"]}


def test_columns_get_the_requested_roles(tmp_path: Path) -> None:
    report = report_of(tmp_path, table(), group="patient", weight="w", drop=("4",))
    assert roles_in(report) == {
        "x": "input", "y": "target", "patient": "group", "w": "weight", "v": "input", "part": "dropped",
        "name": "dropped",
    }  # fmt: skip
    assert report["content"]["largest_group"] == 4
    assert any("'name' identifies the rows" in note for note in report["notes"])


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"target": "z"}, "no_such_column", "target"),
    ({"drop": ("17",)}, "no_such_column", "drop"),
    ({"target": "x", "group": "x"}, "two_roles", "target"),
    ({"drop": ("x", "patient", "part", "w", "v")}, "no_inputs", ""),
    ({"target": "name", "task": "regression"}, "target_is_text", "task"),
    ({"group": "patient", "order": "time"}, "two_splits", "group"),
    ({"split": "part", "group": "patient"}, "two_splits", "group"),
    ({"split": "part", "test_size": 0.5}, "test_part_given", "test_size"),
    ({"split": "patient"}, "bad_split", "split"),
    ({"split": "x"}, "bad_split", "split"),
    ({"time": "patient"}, "wrong_type", "time"),
    ({"weight": "patient"}, "wrong_type", "weight"),
    ({"weight": "x"}, "bad_weight", "weight"),
    ({"lags": 3}, "no_order", "lags"),
    ({"horizon": 2, "order": "time"}, "no_lags", "horizon"),
    ({"lags": 99, "order": "time"}, "too_few_rows", "lags"),
    ({"time": "x", "order": "random"}, "two_orders", "order"),
    ({"weight": "v"}, "bad_weight", "weight"),
]


@pytest.mark.parametrize(("options", "code", "place"), REFUSED)
def test_contradicting_options_are_refused_by_name(
    options: dict[str, Any], code: str, place: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refusal:
        write_dataset(Table(format="csv", columns=table()), tmp_path / "new", Options(**options), LIMITS)
    assert (refusal.value.code, refusal.value.place) == (code, place)


def test_split_column_designates_validation_and_test_rows(tmp_path: Path) -> None:
    dataset, report = stored_with_report(tmp_path, table(), split="part")
    arrays = dataset.load(tmp_path)
    assert (report["content"]["rows_validation"], dataset.validation_size) == (8, 8)
    assert arrays.tables is not None
    assert arrays.tables[1].values("x").tolist() == list(range(32, 40))
    assert arrays.train_validates is not None
    assert np.flatnonzero(arrays.train_validates).tolist() == list(range(24, 32))


def test_weights_stay_with_their_rows(tmp_path: Path) -> None:
    arrays = stored_with_report(tmp_path, table(), weight="w")[0].load(tmp_path)
    assert arrays.tables is not None
    for rows, weights in zip(arrays.tables, (arrays.train_weights, arrays.test_weights), strict=True):
        np.testing.assert_array_equal(weights, rows.values("x") + 1)


def test_whole_groups_test(tmp_path: Path) -> None:
    dataset, report = stored_with_report(tmp_path, table(), group="patient")
    arrays = dataset.load(tmp_path)
    assert arrays.tables is not None
    train, test = ({int(x) // 4 for x in rows.values("x")} for rows in arrays.tables)
    assert not train & test
    assert report["content"]["rows_test"] == 8


def test_rows_are_sorted_by_the_time_column(tmp_path: Path) -> None:
    columns = [date("day", [3, 1, 2, 0, 4]), number("y", [30, 10, 20, 0, 40])]
    dataset, report = stored_with_report(tmp_path, columns, time="day", task="regression")
    arrays = dataset.load(tmp_path)
    assert np.concatenate([arrays.train_y, arrays.test_y]).tolist() == [0, 10, 20, 30, 40]
    assert "The rows were sorted by 'day'." in report["notes"]
    unsorted = report_of(tmp_path, columns, order="time", task="regression")
    assert any("set time=day" in note for note in unsorted["notes"])


def test_series_gets_its_past_up_to_the_horizon(tmp_path: Path) -> None:
    y = np.arange(20.0) ** 2
    columns = [date("day", np.arange(20)), category("kind", list("uv" * 10)), number("y", y)]
    dataset, report = stored_with_report(tmp_path, columns, time="day", lags=2, rolling=(3,), horizon=2)
    names = [column["name"] for column in report["table"]["columns"] if column["role"] == "input"]
    assert names == ["day", "y lag 2", "y lag 3", "y mean 3", "y std 3", "kind lag 2"]
    arrays = dataset.load(tmp_path)
    assert arrays.tables is not None
    rows = arrays.tables[0]
    t = 4  # the first row with a whole past
    assert arrays.train_y[0] == y[t]
    assert [rows.values(name)[0] for name in names[1:4]] == [y[t - 2], y[t - 3], y[t - 4 : t - 1].mean()]
    assert rows.values("day")[0] == t * 86_400
    assert report["content"]["horizon"] == 2


def test_several_series_in_one_file_have_a_warning(tmp_path: Path) -> None:
    columns = [date("day", np.arange(40) // 2), number("y", np.arange(40.0) % 7)]
    (warning, *_) = report_of(tmp_path, columns, time="day", lags=1)["warnings"]
    assert "20 rows have the same time" in warning
    assert not any(
        "same time" in one for one in report_of(tmp_path, columns, time="day", task="regression")["warnings"]
    )


def test_huge_numbers_have_finite_figures(tmp_path: Path) -> None:
    columns = [number("x", [1e308, -1e308] * 20), category("y", CLASSES)]
    dataset, report = stored_with_report(tmp_path, columns)
    assert report["table"]["columns"][0]["statistics"] == {"min": -1e308, "max": 1e308, "mean": 0.0, "std": 1e308}
    arrays = dataset.load(tmp_path)
    assert arrays.tables is not None
    fitted = dataset.fitted(arrays, np.arange(30))
    assert fitted is not None
    assert set(fitted.transform(arrays.tables[1])[:, 0].tolist()) == {-1.0, 1.0}


def test_target_is_the_last_column_with_values(tmp_path: Path) -> None:
    report = report_of(tmp_path, [*table()[:1], category("y", CLASSES), number("column 3", [np.nan] * 40)])
    assert roles_in(report)["y"] == "target"


def test_rows_without_a_target_are_left_out_but_not_from_a_series(tmp_path: Path) -> None:
    columns = [number("x", np.arange(20.0)), number("y", [*np.arange(19.0), np.nan])]
    report = report_of(tmp_path, columns, task="regression")
    assert report["content"]["rows_train"] + report["content"]["rows_test"] == 19
    assert any("1 row has no value of the target" in note for note in report["notes"])
    with pytest.raises(Refused, match="row 20"):
        report_of(tmp_path, columns, task="regression", order="time")


def test_warnings_name_what_misleads(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = [
        number("x", rng.integers(0, 3, 80)),
        category("answer", ["yes", "no"] * 39 + ["no", "no"]),
        number("one", np.ones(80)),
        number("gaps", np.where(np.arange(80) % 4, np.nan, 1.0)),
        category("y", ["u", "v"] * 39 + ["z", "z"]),
    ]
    texts = " ".join(report_of(tmp_path, columns)["warnings"])
    for part in (
        "'one' is constant",
        "'gaps' has no value in 7",
        "'z' has 2 training rows:",
        "the same inputs",
    ):
        assert part in texts
    assert "alone determines" not in texts
    columns[1] = category("answer", ["yes", "no"] * 39 + ["?", "?"])
    assert "'answer' alone determines the target" in " ".join(report_of(tmp_path, columns)["warnings"])
