"""The page of a study: verdicts in sight at every width, whole words, and bands on request."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.web.conftest import BASE, Opened, Trained, drawn
from tests.patience import scaled
from tests.processes import Serving

WIDTHS = (1440, 1280, 1150, 1024, 900, 768, 390)
BROKEN_WORDS = """() => [...document.querySelectorAll('.verdicts th, #diagnoses th')].flatMap((cell) => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  const broken = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const match of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const tops = [...range.getClientRects()].map((rect) => Math.round(rect.top));
      if (new Set(tops).size > 1) broken.push(match[0]);
    }
  }
  return broken;
})"""
CUT_SELECTS = """() => [...document.querySelectorAll('#controls select')].filter((select) => {
  const context = document.createElement('canvas').getContext('2d');
  context.font = getComputedStyle(select).font;
  const text = select.selectedOptions[0].text;
  return context.measureText(text).width + 40 > select.getBoundingClientRect().width;
}).map((select) => select.selectedOptions[0].text)"""


def check_layout(page: Page, width: int) -> None:
    """Check that a study's page has its verdicts in sight, its words whole and no scrollbar in a legend."""
    page.set_viewport_size({"width": width, "height": 900})
    expect(page.locator("#verdicts .state").first).to_be_visible()
    expect(page.locator("#diagnoses .state").first).to_be_visible()
    for name in ("#verdicts", "#diagnoses"):
        assert page.locator(name).evaluate("(one) => one.scrollWidth <= one.clientWidth"), (name, width)
    table = page.locator("#verdicts")
    right = table.evaluate("(one) => one.getBoundingClientRect().right")
    for verdict in page.locator("#verdicts .state").all():
        box = verdict.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= right, width
    assert page.evaluate(BROKEN_WORDS) == [], width
    assert page.evaluate(CUT_SELECTS) == [], width
    assert page.locator("#curves [data-legend]").evaluate("(one) => one.scrollHeight <= one.clientHeight + 1"), width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_grid_has_its_verdicts_in_sight_and_its_words_whole_at_every_width(opened: Opened, served: Serving) -> None:
    arms: dict[str, Any] = {"plain": {}, "regularized": {"regularizers_add": [{"kind": "dropout", "p": 0.5}]}}
    grid: dict[str, Any] = {"optimizer.lr": [0.01, 0.05], "dataset.validation_size": [100, 200]}
    study = served.client.studies.create(base={**BASE, "epochs": 2}, arms=arms, grid=grid, seeds=2)
    study.wait(scaled(90))
    page = opened(f"/studies/{study.id}")
    drawn(page, "curves", 8)
    for width in WIDTHS:
        check_layout(page, width)


def test_long_legend_lists_more_on_request_instead_of_scrolling(opened: Opened, trained: Trained) -> None:
    page = opened(f"/studies/{trained.study.id}?view=runs")
    drawn(page, "curves", 32)
    keys = page.locator("#curves .key")
    expect(keys).to_have_count(24)
    check_layout(page, 768)
    page.get_by_role("button", name="and 8 more").click()
    expect(keys).to_have_count(32)
    expect(page.get_by_role("button", name="and 8 more")).to_have_count(0)


def test_bands_are_quartiles_on_request(opened: Opened, trained: Trained) -> None:
    page = opened(f"/studies/{trained.study.id}")
    drawn(page, "curves", 4)
    expect(page.locator("#band-note")).to_contain_text("± one standard deviation")
    page.get_by_label("View").select_option("Median and quartiles")
    expect(page.locator("#band-note")).to_contain_text("medians over seeds")
    curves = trained.study.compare(curves=["val.loss"], band="quartiles").curves["val.loss"]
    (curve,) = [one for one in curves if one["arm"] == "hobbled"]
    with page.expect_download() as loading:
        page.locator("#curves").get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(loading.value.path()).read_text())))
    for column, name in (("hobbled", "median"), ("hobbled low", "low"), ("hobbled high", "high")):
        assert [float(row[column]) for row in rows] == pytest.approx(curve[name])
    link = page.locator("#report").get_attribute("href") or ""
    assert "median and quartiles over seeds" in page.request.get(link).text()


def test_runs_of_nearest_neighbors_are_compared_along_k(opened: Opened, served: Serving) -> None:
    digits = {"kind": "digits", "train_size": 60}
    study = served.client.studies.create(
        base={"dataset": digits, "model": {"kind": "knn"}, "epochs": 5}, arms={"only": {}}, seeds=1
    )
    study.wait(scaled(60))
    page = opened(f"/studies/{study.id}")
    drawn(page, "curves", 1)
    page.locator("#curves [data-plot]").focus()
    page.keyboard.press("End")
    expect(page.locator("#curves [data-reading]")).to_contain_text("k = 5: ")
