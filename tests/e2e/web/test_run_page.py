"""The page of a run: one verdict, one name of an epoch, and the model of one epoch in every part."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from service.web.rendering import duration
from tests.e2e.web.conftest import Opened, Trained, drawn
from tests.patience import eventually, scaled
from tests.processes import Serving

SECONDS = (0.0, 59.9, 59.97, 119.6, 359.7, 3599.6, 7199.0, 86_399.0, 260_000.0)


def test_nearest_neighbors_have_one_verdict_and_an_axis_of_k(opened: Opened, served: Serving) -> None:
    digits = {"kind": "digits", "train_size": 200}
    run = served.client.runs.create(name="many neighbors", dataset=digits, model={"kind": "knn"}, epochs=60)
    run = run.wait(scaled(60))
    assert run.best is not None
    best = run.best.epoch
    page = opened(f"/runs/{run.id}")
    drawn(page, "losses", 4)
    expect(page.locator(".verdict-word")).to_have_text("underfits")
    expect(page.locator(".verdict")).to_contain_text(f"Use k = {best}: its val.loss is the lowest")
    head = page.locator("#head")
    expect(head).to_have_attribute("data-onset-text", re.compile(r"^underfits from k = \d+$"))
    expect(head).to_have_attribute("data-best-text", f"best val.loss, k = {best}")
    page.locator("#losses [data-plot]").focus()
    page.keyboard.press("Home")
    expect(page.locator("#losses [data-reading]")).to_contain_text("k = 1: ")
    expect(page.get_by_label("x axis")).to_have_count(0)
    page.locator("#losses summary").click()
    expect(page.locator("#losses thead th").first).to_have_text("k")
    expect(page.locator("#measured")).to_contain_text("Test rows at k = 60, the largest; the matrix of others")
    assert "epoch" not in " ".join(page.locator("#head, #measured").all_inner_texts()).lower()


def test_one_switch_selects_the_epoch_of_the_whole_page(opened: Opened, trained: Trained) -> None:
    run = trained.overfit
    assert run.best is not None
    accuracies = dict(zip(run.history.epoch, run.history["test.accuracy"], strict=True))
    page = opened(f"/runs/{run.id}?smooth=0.2")
    for at, epoch in (("best", run.best.epoch), ("last", run.progress.epoch), ("best", run.best.epoch)):
        page.get_by_role("link", name=f"{at.capitalize()}: epoch {epoch}").click()
        expect(page.locator(f'[data-at="{at}"]')).to_have_attribute("aria-current", "true")
        expect(page.locator(".facts")).to_contain_text(f"{accuracies[epoch]:.4f}")
        expect(page.locator("#weights-title")).to_have_text(f"Weights after epoch {epoch}")
        page.locator("#weights-title").scroll_into_view_if_needed()
        weights = run.weights(at=at)
        expect(page.locator(".histogram p").first).to_contain_text(f"norm {weights.parameters[0].norm:.4f}")
        confusion = run.confusion(at=at)
        assert (weights.epoch, confusion.epoch) == (epoch, epoch)
        page.locator("#confusion-title").scroll_into_view_if_needed()
        expect(page.locator(".confusion tbody td")).to_have_text([str(n) for row in confusion.counts for n in row])
        expect(page.locator(".pictures img")).to_have_attribute("src", re.compile(f"at={at}"))
        for heading in ("predictions", "confusion", "calibration"):
            section = page.locator(f"section[aria-labelledby={heading}-title]")
            expect(section.locator("p.faint").first).to_contain_text(f"epoch {epoch}")
        expect(page.locator(".downloads")).to_contain_text(f"{at.capitalize()} model")
        assert ("at=last" in page.url) is (at == "last")
    assert page.url.endswith("?smooth=0.2")


def test_wrong_images_and_scores_of_each_class_are_shown_on_request(opened: Opened, trained: Trained) -> None:
    run = trained.overfit
    page = opened(f"/runs/{run.id}")
    page.locator("#confusion-title").scroll_into_view_if_needed()
    page.get_by_text("Precision and recall").click()
    first = run.confusion(at="best").classes[0]
    cells = page.locator("[data-classes] tbody tr").first.locator("td")
    expect(cells).to_have_count(5)
    expect(cells.nth(3)).to_have_text(f"{first.recall:.4f}")
    page.get_by_label("Wrong ones only").check()
    image = page.locator(".pictures img")
    expect(image).to_have_attribute("src", re.compile("wrong=true"))
    eventually(lambda: image.evaluate("picture => picture.naturalWidth") > 0)
    expect(page.locator("[data-note]")).to_be_empty()


def test_report_is_of_the_epoch_that_the_page_displays(opened: Opened, trained: Trained) -> None:
    run = trained.overfit
    page = opened(f"/runs/{run.id}?at=last")
    link = page.locator(".downloads a[href*='/report']")
    expect(link).to_have_attribute("href", f"/runs/{run.id}/report?at=last")
    for at in ("best", "last"):
        text = page.request.get(f"/runs/{run.id}/report?at={at}").text()
        assert f"Weights after epoch {run.weights(at=at).epoch}" in text


def test_run_that_diverged_is_not_retried(opened: Opened, trained: Trained) -> None:
    page = opened(f"/runs/{trained.diverged.id}")
    expect(page.locator(".verdict-word")).to_have_text("diverged")
    expect(page.get_by_role("link", name="Try this spec")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)


def test_y_axis_ignores_outliers_on_request(opened: Opened, trained: Trained) -> None:
    def add_spike(route: Route) -> None:
        history = route.fetch().json()
        history["series"]["val.loss"][30] = 500.0
        route.fulfill(json=history)

    page = opened("/studies")
    page.route("**/history", add_spike)
    page.goto(f"/runs/{trained.overfit.id}")
    drawn(page, "losses", 4)
    picture = "document.querySelector('#losses canvas').toDataURL()"
    whole = page.evaluate(picture)
    page.get_by_role("button", name="Ignore outliers").click()
    expect(page.get_by_role("button", name="Ignore outliers")).to_have_attribute("aria-pressed", "true")
    drawn(page, "losses", 4)
    assert page.evaluate(picture) != whole
    again = opened(page.url)
    expect(again.get_by_role("button", name="Ignore outliers")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize(
    ("values", "log", "expected"),
    [
        ([*(0.5 + i / 100 for i in range(40)), 1000.0, None], False, [0.5, 0.89]),
        ([*(10.0 ** (-i / 10) for i in range(40)), 1e9], True, [10.0 ** (-3.9), 1.0]),
        ([0.0, *(0.5 + i / 100 for i in range(40))], True, [0.5, 0.89]),
        ([1.0, 2.0, 1000.0], False, [1.0, 1000.0]),
        ([2.0] * 20, False, [2.0, 2.0]),
        ([None], False, None),
    ],
)
def test_range_without_outliers_keeps_what_is_within_the_fences(
    opened: Opened, values: list[float | None], log: bool, expected: list[float] | None
) -> None:
    page = opened("/studies")
    script = "([path, values, log]) => import(path).then((one) => one.rangeWithoutOutliers(values, { log }))"
    result: Any = page.evaluate(script, ["/static/any/js/charts/outliers.js", values, log])
    assert result == (None if expected is None else pytest.approx(expected))


def test_scripts_write_durations_as_the_server_does(opened: Opened) -> None:
    script = "([path, all]) => import(path).then((format) => all.map(format.formatDuration))"
    texts = opened("/studies").evaluate(script, ["/static/any/js/kit/format.js", list(SECONDS)])
    assert texts == [duration(seconds) for seconds in SECONDS]
