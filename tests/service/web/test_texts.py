"""Texts of pages and reports: code examples, numbers, figures and redirects."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.terminal.durations import duration as printed_duration
from service.runs.differences import differences
from service.web import code
from service.web.figures import HEIGHT, WIDTH, Line, bars, figure
from service.web.pages.sign_in import local_path
from service.web.rendering import breakable, duration, number, p_value
from service.web.summaries import column_values, spec_parts

NASTY = 'it\'s "<b>" $(reboot) `reboot` \\ \n\'\'\'""" </script>'
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
SPECS = st.dictionaries(st.sampled_from(["dataset", "model", "name", "epochs"]), JSON, min_size=1)


@pytest.mark.slow
@given(SPECS)
def test_json_curl_and_python_examples_contain_the_spec(spec: dict[str, Any]) -> None:
    assert json.loads(code.as_json(spec)) == spec
    if "\0" not in json.dumps(spec, ensure_ascii=False):
        words = shlex.split(code.as_curl(spec, "http://here", with_token=False).replace("\\\n", " "))
        assert (words[:3], json.loads(words[-1])) == (["curl", "-s", "http://here/v1/runs"], spec)
    program = ast.walk(ast.parse(code.as_python(spec, "http://here")))
    (call,) = [one for one in program if isinstance(one, ast.Call) and ast.unparse(one.func).endswith("runs.create")]
    assert {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords} == spec


def test_shell_syntax_in_a_spec_is_quoted() -> None:
    words = shlex.split(code.as_curl({"name": NASTY}, "http://here", with_token=True).replace("\\\n", " "))
    assert json.loads(words[-1]) == {"name": NASTY}
    assert "Authorization: Bearer $FITWELL_TOKEN" in words


def test_numbers_have_about_four_digits() -> None:
    texts = {0.0: "0.0000", 1e-5: "1e-05", 0.12345: "0.1235", 12.5: "12.5000", 416.26: "416.3", -416013.2: "−4.16e+05"}
    assert [number(value) for value in texts] == list(texts.values())


DURATIONS = {
    0.0: "0.0 s", 59.9: "59.9 s", 59.97: "1 min 0 s", 119.6: "2 min 0 s", 359.7: "6 min 0 s", 3599.4: "59 min 59 s",
    3599.6: "1 h 0 min", 7169.0: "1 h 59 min", 7199.0: "2 h 0 min", 86_399.0: "1 d 0 h", 260_000.0: "3 d 0 h",
}  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_durations_are_rounded_before_they_are_split(seconds: float, text: str) -> None:
    assert (duration(seconds), printed_duration(seconds)) == (text, text)


@given(st.floats(0, 1e8))
def test_parts_of_a_duration_are_below_their_limits_and_add_up(seconds: float) -> None:
    text = duration(seconds)
    assert text == printed_duration(seconds)
    words = text.split()
    parts = dict(zip(words[1::2], map(float, words[::2]), strict=True))
    assert all(count < {"s": 60, "min": 60, "h": 24}.get(unit, 1e9) for unit, count in parts.items())
    sizes = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
    total = sum(count * sizes[unit] for unit, count in parts.items())
    assert abs(total - seconds) <= min(sizes[unit] for unit in parts) / 2 + 1e-6


def test_p_values_are_rounded_as_in_browsers() -> None:
    assert [p_value(value) for value in (0.0625, 0.03125, 1.0, None)] == ["0.063", "0.031", "1.000", "–"]


def test_names_may_break_after_dots_and_underscores_and_are_escaped() -> None:
    assert breakable("test.balanced_accuracy") == "test.<wbr>balanced_<wbr>accuracy"
    assert breakable("<b>._x") == "&lt;b&gt;.<wbr>_<wbr>x"


@given(st.lists(st.floats(-1e9, 1e9) | st.none(), min_size=1, max_size=40))
def test_values_are_drawn_within_the_figure_with_gaps_between(values: list[float | None]) -> None:
    drawn = figure([Line(name="val.loss", x=list(range(1, len(values) + 1)), y=values)])
    measured = [value for value in values if value is not None]
    if drawn is None:
        assert not measured
        return
    (line,) = drawn.lines
    points = [tuple(map(float, step.split())) for step in line.path.replace("M", "L").split("L") if step]
    assert len(points) == len(measured)
    assert all(0 <= x <= WIDTH and -0.1 <= y <= HEIGHT for x, y in points)
    starts = sum(value is not None and (i == 0 or values[i - 1] is None) for i, value in enumerate(values))
    assert line.path.count("M") == starts


def test_band_is_closed_and_bars_keep_their_proportions() -> None:
    drawn = figure([Line(name="a", x=[1, 2], y=[1.0, 2.0], low=[0.5, 1.5], high=[1.5, None])])
    assert drawn is not None
    assert (drawn.lines[0].band.startswith("M"), drawn.lines[0].band.endswith("Z")) == (True, True)
    assert [bar.height for bar in bars([0, 5, 10])] == [0, 42, 84]


def test_differences_list_only_differing_fields_and_treat_null_as_absent() -> None:
    plain = {"model": {"kind": "mlp", "hidden": [8]}, "regularizers": [], "seed": 0, "warm_start": None}
    other = {"model": {"kind": "mlp", "hidden": [16]}, "regularizers": [{"kind": "l2", "strength": 0.1}], "seed": 0}
    assert {row.path: list(row.values) for row in differences([plain, other])} == {
        "model.hidden": [[8], [16]],
        "regularizers.0.kind": ["–", "l2"],
        "regularizers.0.strength": ["–", 0.1],
    }


@pytest.mark.parametrize(
    ("path", "is_local"),
    [
        ("/runs/run_1?x=steps&smooth=0.5", True),
        ("//evil", False),
        ("/\\evil", False),
        ("", False),
        ("javascript:x", False),
        ("/a\nb", False),
    ],
)
def test_redirects_stay_on_this_server(path: str, is_local: bool) -> None:
    assert local_path(path) == (path if is_local else "/")


@pytest.mark.parametrize(
    ("statistics", "text"),
    [
        ({"min": -1.5, "max": 2009.0, "mean": 1234567.0, "std": 0.12345}, "−1.5 … 2009, mean 1,234,567, sd 0.1235"),
        ({"min": "2024-05-08T12:30:00+00:00", "max": "2024-05-09"}, "2024-05-08 12:30:00 … 2024-05-09"),
        ({"distinct": 2, "counts": [{"name": "a", "rows": 1500}, {"name": "b", "rows": 1}]}, "2: a (1,500), b (1)"),
        (
            {"distinct": 9, "counts": [{"name": str(i), "rows": 1} for i in range(9)]},
            "9: 0 (1), 1 (1), 2 (1), 3 (1), …",
        ),
        ({}, ""),
    ],
)
def test_values_of_a_column_are_summarized_by_its_type(statistics: Any, text: str) -> None:
    assert column_values({"statistics": statistics}) == text


@pytest.mark.parametrize(
    ("dataset", "text"),
    [
        ({"kind": "digits", "train_size": None}, "digits"),
        ({"kind": "digits", "train_size": 1500}, "digits 1,500 rows"),
        ({"kind": "digits", "train_size": None, "train_classes": [3]}, "digits of 1 class"),
        ({"kind": "digits", "train_size": 200, "train_classes": [0, 3]}, "digits 200 rows of 2 classes"),
    ],
)
def test_dataset_of_a_run_is_summarized_by_its_rows_and_classes(dataset: Any, text: str) -> None:
    assert spec_parts({"dataset": dataset, "model": {"kind": "linear"}}) == [text, "linear"]
