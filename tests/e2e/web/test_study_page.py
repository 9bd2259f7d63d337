"""The page of a study: verdicts in sight at every width, whole words, and bands on request."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.web.conftest import BASE, Opened, Trained, Watched, drawn
from tests.patience import eventually, scaled
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


def test_seeds_are_added_after_their_cost_is_displayed(opened: Opened, served: Serving) -> None:
    small = {**BASE, "epochs": 1, "model": {"kind": "mlp", "hidden": [4]}}
    arms: dict[str, Any] = {"plain": {}, "fast": {"optimizer": {"lr": 0.2}}}
    study = served.client.studies.create(base=small, arms=arms, replicates={"n": 2, "vary": ["seed", "split"]})
    study.wait(scaled(60))
    page = opened(f"/studies/{study.id}")
    page.get_by_role("button", name="Add seeds").click()
    page.get_by_label("Number of seeds").fill("3")
    expect(page.locator("#seeds-cost")).to_contain_text("Seeds in all5New runs6")
    page.get_by_role("dialog").get_by_role("button", name="Train").click()
    expect(page.locator("#head .summary")).to_contain_text("5 seeds")
    assert study.refresh().seeds == [0, 1, 2, 3, 4]


def test_arm_is_chosen_by_one_standard_error(opened: Opened, trained: Trained, watched: Watched) -> None:
    watched.expected = {422}
    page = opened(f"/studies/{trained.study.id}", viewport={"width": 390, "height": 844})
    section = page.get_by_role("region", name="Choose an arm")
    section.get_by_role("button", name="Choose").click()
    expect(section.get_by_role("alert")).to_contain_text("Select which of them are simpler")
    page.get_by_label("Simpler is").select_option("optimizer.lr:asc")
    section.get_by_role("button", name="Choose").click()
    choice = trained.study.choice("one_standard_error", simpler=["optimizer.lr:asc"])
    expect(section.locator(".lead")).to_have_text(f"Choose {choice.chosen}. {choice.explanation}")
    expect(section.locator("tr", has_text="chosen")).to_contain_text(choice.chosen)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    section.get_by_role("link", name="New run from it").click()
    page.wait_for_url("**/runs/new?spec=*")
    expect(page.get_by_label("Spec as JSON")).to_have_value(re.compile('"seed": 0|"epochs": 60'))


def test_queued_run_is_moved_ahead_and_cancelled_on_the_page_of_the_queue(
    opened: Opened, served: Serving, trained: Trained
) -> None:
    wide = {**BASE, "epochs": 50_000}
    models = [{"kind": "mlp", "hidden": [60 + i]} for i in range(2)]
    runs = [served.client.runs.create(name=f"in line {i}", **{**wide, "model": one}) for i, one in enumerate(models)]
    page = opened("/queue", viewport={"width": 390, "height": 844})
    waiting = page.get_by_label("Priority of in line 1")
    if waiting.count():  # else a free worker has claimed it
        waiting.fill("9")
        waiting.press("Tab")
        eventually(lambda: runs[1].refresh().priority == 9)
    for run in runs:
        page.get_by_role("button", name=f"Cancel {run.name}").click()
        expect(page.get_by_role("button", name=f"Cancel {run.name}")).to_have_count(0)
        assert run.wait(scaled(60), check=False).status == "cancelled"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
