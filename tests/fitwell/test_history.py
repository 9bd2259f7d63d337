"""Histories as data frames and charts."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwell.history import History
from fitwell.svg_chart import svg

SVG = "{http://www.w3.org/2000/svg}"
HISTORY = History.model_validate(
    {
        "run_id": "run_1", "complete": True, "epoch": [1, 2, 3], "steps": [4, 4, 2], "revision": 0,
        "series": {"train.loss": [0.1 + 0.2, None, None], "val.loss": [0.5, 0.25, None], "lr": [1e-5, 1e-5, 1e-5]},
        "nonfinite": {"train.loss": {"2": "nan", "3": "inf"}},
    }
)  # fmt: skip


def test_pandas_frame_has_exact_values_and_distinguishes_infinity_from_missing() -> None:
    frame = HISTORY.to_pandas()
    assert (frame.index.name, list(frame.index)) == ("epoch", [1, 2, 3])
    assert list(frame.columns) == ["steps", "train.loss", "val.loss", "lr"]
    assert frame["train.loss"].dtype == np.float64
    assert frame["train.loss"][1] == 0.1 + 0.2
    assert math.isnan(frame["train.loss"][2])
    assert frame["train.loss"][3] == math.inf
    assert math.isnan(frame["val.loss"][3])


def test_polars_frame_has_nulls_for_missing_values() -> None:
    frame = HISTORY.to_polars()
    assert frame.columns == ["epoch", "steps", "train.loss", "val.loss", "lr"]
    assert frame["val.loss"].to_list() == [0.5, 0.25, None]
    assert frame["train.loss"][0] == 0.1 + 0.2
    assert math.isnan(frame["train.loss"][1])


@pytest.mark.slow
def test_missing_data_frame_library_is_reported_with_its_install_command() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from fitwell.history import History\n"
        "h = History(run_id='', complete=True, epoch=[], steps=[], revision=0, series={}, nonfinite={})\n"
        "h.to_pandas()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "NotInstalled: pandas is not installed. Install it with: pip install 'fitwell[pandas]'" in done.stderr


VALUES = st.one_of(st.none(), st.floats(allow_nan=True, width=32), st.floats(0.01, 3.0))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=60), st.booleans(), st.text(max_size=20))
def test_svg_of_any_history_is_well_formed_with_every_point_inside(
    measured: list[tuple[float | None, float | None]], log: bool, title: str
) -> None:
    series = {"train.loss": [one for one, _ in measured], "val.loss": [one for _, one in measured]}
    drawn = svg(list(range(1, len(measured) + 1)), series, title=re.sub(r"[^\t -\ud7ff]", "", title), log=log)
    root = ET.fromstring(drawn)
    assert root.tag == f"{SVG}svg"
    for path in root.iter(f"{SVG}path"):
        if path.get("stroke") == "currentColor":
            continue
        for x, y in re.findall(r"(-?[\d.e+-]+) (-?[\d.e+-]+)", path.get("d") or ""):
            assert 0 <= float(x) <= 640
            assert 0 <= float(y) <= 320


def test_svg_labels_curves_marks_the_best_epoch_and_inherits_colors() -> None:
    drawn = HISTORY.to_svg(title="<&>")
    root = ET.fromstring(drawn)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"train.loss", "val.loss", "epoch", "<&>"} <= set(texts)
    (ring,) = root.iter(f"{SVG}circle")
    assert ring[0].text == "lowest: 0.2500 at epoch 2"
    assert {text.get("fill") for text in root.iter(f"{SVG}text")} == {"currentColor"}
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("background", ["#ffffff", "#111111"])
def test_curves_have_enough_contrast_on_light_and_dark_backgrounds(background: str) -> None:
    """WCAG requires a contrast of 3:1 for graphics."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    series = {f"{name}.loss": [1.0, 0.5] for name in ("train", "val", "test")} | {"train.loss_eval": [1.0, 0.4]}
    others = {name: [1.0, 0.5] for name in ("lr", "penalty.l2", "seconds")}
    colors = {c for one in (series, others) for c in re.findall(r"stroke=\"(#\w{6})\"", svg([1, 2], one))}
    assert len(colors) == 6
    for color in colors:
        light, dark = sorted((luminance(color), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3
