"""Pictures: what is drawn, seen in the SVG's texts and paths or in the PNG's pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.sandbox.predicting.curves import curve
from service.sandbox.predicting.grids import CELL, HEAD, Judged, classes_judged, grid, numbers_judged
from service.sandbox.predicting.messages import BestEpoch, DrawCurve, Refused, Theme
from service.sandbox.predicting.themes import THEMES, single_line
from worker.spec.datasets.digits import Digits

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"
BEST = BestEpoch(epoch=2, metric="val.loss", value=0.4, optimistic=False)
SERIES: dict[str, tuple[float | None, ...]] = {"train.loss": (0.9, 0.6, 0.5), "val.loss": (0.7, 0.4, 0.6)}


def order(**changes: Any) -> DrawCurve:
    usual = {
        "title": "a run", "epochs": (1, 2, 3), "series": SERIES, "best": BEST, "form": "svg", "width": 640,
        "height": 400, "log": False, "theme": "light",
    }  # fmt: skip
    return DrawCurve(**{**usual, **changes})


def drawn(**changes: Any) -> bytes:
    picture = curve(order(**changes))
    assert isinstance(picture, bytes)
    return picture


def texts(svg: bytes) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text")]


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def has(picture: NDArray[np.uint8], colour: str) -> bool:
    """Whether some pixel has exactly this colour."""
    expected = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((picture == expected).all(-1).any())


def test_every_series_and_the_best_epoch_are_labeled() -> None:
    labels = texts(drawn())
    assert {"train.loss", "val.loss", "epoch", "loss", "a run", "best val.loss 0.4, epoch 2"} <= set(labels)
    labels = texts(drawn(best=BEST.model_copy(update={"metric": "test.loss", "optimistic": True})))
    assert "best test.loss 0.4, epoch 2, chosen on the test data" in labels


def test_level_of_guessing_is_drawn_and_labeled() -> None:
    level = {"guessing val.loss": 2.3}
    assert "guessing val.loss" in texts(drawn(guessing=level))
    assert drawn(guessing=level, log=True) != drawn(log=True)


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert('&')</script>",
        "$\\frac{$ and $x^2$",
        pytest.param("a\x01\x1b\ud7ffb\tc", marks=pytest.mark.slow),
        pytest.param("مرحبا 中文", marks=pytest.mark.slow),
    ],
)
def test_name_is_drawn_as_plain_text(title: str) -> None:
    svg = drawn(title=title)
    assert single_line(title, 60) in texts(svg)
    assert b"<script" not in svg
    assert drawn(title=title, form="png").startswith(b"\x89PNG")


def test_svg_has_no_external_references() -> None:
    tree = ET.fromstring(drawn())
    assert {element.tag.removeprefix(SVG) for element in tree.iter()} & {
        "script",
        "image",
        "a",
        "foreignObject",
    } == set()
    links = [value for element in tree.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert all(link.startswith("#") for link in links)
    assert not [key for element in tree.iter() for key in element.attrib if key.startswith("on")]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_equal_pictures_have_equal_bytes(form: str) -> None:
    assert drawn(form=form) == drawn(form=form)
    assert drawn(form=form) != drawn(form=form, title="another")


def test_picture_has_the_requested_size_and_the_colors_of_its_theme() -> None:
    themes: tuple[Theme, ...] = ("light", "dark")
    for theme in themes:
        picture = pixels(drawn(form="png", width=500, height=321, theme=theme))
        assert picture.shape == (321, 500, 3)
        assert has(picture, THEMES[theme].ground)
        assert has(picture, THEMES[theme].train)
        assert has(picture, THEMES[theme].val)
    assert b'width="480pt"' in drawn(), "640 pixels"


def points(svg: bytes, colour: str) -> int:
    """How many marks there are in a colour."""
    return len([use for use in ET.fromstring(svg).iter(f"{SVG}use") if colour in use.get("style", "")])


def test_missing_value_is_a_gap_and_an_isolated_one_a_point() -> None:
    blue = THEMES["light"].train
    values = (0.9, 0.8, None, 0.7, None, 0.6, 0.5)
    epochs = tuple(range(1, 8))
    assert points(drawn(epochs=epochs, series={"train.loss": values}, best=None), blue) == 1
    assert points(drawn(epochs=epochs, series={"train.loss": (0.5,) * 7}, best=None), blue) == 0
    rare = (None,) * 6 + (0.5,)
    assert points(drawn(epochs=epochs, series={"train.loss": rare}, best=None), blue) >= 2, "and in the legend"


def test_logarithmic_axis_omits_values_that_are_not_positive() -> None:
    labels = texts(drawn(log=True, series={"train.loss": (1e-3, 0.0, 10.0)}, best=None))
    assert "0.001" in labels
    assert "10" in labels
    for log, values in ((True, (0.0, -1.0, None)), (False, (None, None, None))):
        refused = curve(order(log=log, series={"train.loss": values}, best=None))
        assert isinstance(refused, Refused)
        assert "train.loss" in refused.message


@pytest.mark.parametrize(
    "values", [(1e308, 1e-308, -1e308), (1e300, 1e300, 1e300), (0.0, 0.0, 0.0), (5e-324, 1e-320, 0.0)]
)
@pytest.mark.parametrize("log", [False, True])
def test_extreme_values_are_drawn(values: tuple[float, ...], log: bool) -> None:
    picture = curve(order(series={"train.loss": values}, best=BEST, log=log))
    assert isinstance(picture, bytes) or (log and max(values) <= 0)


def test_one_epoch_is_drawn() -> None:
    assert "1" in texts(drawn(epochs=(1,), series={"train.loss": (0.5,)}, best=None))


def test_accuracies_are_not_called_losses() -> None:
    assert "accuracy" in texts(drawn(series={"train.accuracy": (0.1, 0.2, 0.3)}, best=None))
    assert "loss" not in texts(drawn(series={"train.accuracy": (0.1, 0.2, 0.3), "lr": (0.1, 0.1, 0.1)}, best=None))


def judged(options: list[int], true: list[int], classes: Sequence[str] = Digits.classes, **changes: Any) -> Judged:
    probabilities = np.full((len(options), 10), 0.01, np.float32)
    probabilities[range(len(options)), options] = 0.91
    images = Digits.load(Path("/nowhere")).test_x[: len(options)]
    usual = {"images": images, "white": 16.0, "labels": classes_judged(probabilities, true, classes)}
    return Judged(**{**usual, **changes})


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_only_wrong_predictions_are_marked(theme: Theme) -> None:
    look = THEMES[theme]
    assert not has(pixels(grid(judged([1, 2], [1, 2]), "", theme)), look.wrong)
    picture = pixels(grid(judged([1, 2], [1, 3]), "", theme))
    middle = CELL[0]
    assert not has(picture[:, :middle], look.wrong)
    assert has(picture[:, middle:], look.wrong)


@pytest.mark.parametrize("count", [1, 6, *(pytest.param(count, marks=pytest.mark.slow) for count in (5, 10, 100))])
def test_grid_has_a_cell_for_every_image(count: int) -> None:
    picture = pixels(grid(judged([0] * count, [0] * count), "digits", "light"))
    columns = min(count, max(5, math.ceil(math.sqrt(count))))
    assert picture.shape[0] == math.ceil(count / columns) * CELL[1] + HEAD
    assert picture.shape[1] == max(columns, 3) * CELL[0]


def test_nan_probabilities_are_wrong_and_color_images_are_drawn() -> None:
    broken = judged([1], [1], labels=classes_judged(np.full((1, 10), np.nan, np.float32), [1], Digits.classes))
    assert has(pixels(grid(broken, "", "light")), THEMES["light"].wrong)
    red = np.zeros((1, 3, 8, 8), np.uint8)
    red[:, 0] = 255
    assert has(pixels(grid(judged([1], [1], images=red, white=255.0), "", "light")), "#ff0000")
    assert has(pixels(grid(judged([1], [1], images=red[:, :1], white=255.0), "", "light")), "#ffffff")


def test_class_names_are_drawn_as_plain_text() -> None:
    names = ("$\\bad", "<b>", "a" * 300, "\x00", "中", "6", "7", "8", "9", "0")
    assert grid(judged([0, 1, 2, 3, 4], [1, 2, 3, 4, 0], classes=names), "$x", "light")


def test_numbers_are_printed_beside_the_true_ones_and_only_missing_ones_are_marked() -> None:
    labels = numbers_judged(np.array([[1.23456], [-2e9], [np.inf]], np.float32), [1.25, -2.1e9, 0.0])
    assert [tuple(label) for label in labels] == [
        ("1.235", "1.25", True),
        ("-2e+09", "-2.1e+09", True),
        ("not a number", "0", False),
    ]
    picture = pixels(grid(judged([0, 0, 0], [0, 0, 0], labels=labels), "", "light"))
    assert not has(picture[:, : 2 * CELL[0]], THEMES["light"].wrong)
    assert has(picture[:, 2 * CELL[0] :], THEMES["light"].wrong)
