"""Charts, comparisons, tables and reports."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from tests.e2e.web.conftest import BASE, NASTY, Opened, Trained, Watched, drawn, shoot
from tests.patience import scaled
from tests.processes import Serving


def row_of(arm: str) -> re.Pattern[str]:
    """Return a pattern of the header of an arm's row: its name, and whether it is one of the best."""
    return re.compile(rf"^{re.escape(arm)}( best| within 1 SE)?$")


def test_shared_url_displays_the_same_comparison_in_a_new_browser(opened: Opened, trained: Trained) -> None:
    page = opened(f"/studies/{trained.study.id}")
    drawn(page, "curves", 4)
    comparison = trained.study.compare().against("plain")
    for arm in ("dropout", "dropout + l2", "hobbled"):
        row = page.locator("#verdicts tr", has=page.get_by_role("rowheader", name=row_of(arm)))
        expect(row.locator(".state")).to_have_text(comparison[arm].verdict)
    shoot(page, "study-light", whole=True)
    page.get_by_label("Pairs").select_option("With dropout")
    row = page.locator("#verdicts tr", has=page.get_by_role("rowheader", name=row_of("plain")))
    worse = trained.study.compare(baseline="dropout").against("dropout")["plain"]
    expect(row.locator(".state")).to_have_text(worse.verdict)
    page.get_by_label("Group by").select_option("optimizer.lr")
    drawn(page, "curves", 2)
    page.locator("select[name=curve]").select_option("train.loss_eval")
    expect(page.locator("#curves-title")).to_have_text("train.loss_eval")
    page.get_by_role("button", name="Log y").click()
    page.locator("#curves input[type=range]").fill("0.6")
    again = opened(page.url)
    for one in (page, again):
        drawn(one, "curves", 2)
        expect(one.locator("#curves-title")).to_have_text("train.loss_eval")
        expect(one.get_by_role("button", name="Log y")).to_have_attribute("aria-pressed", "true")
        expect(one.get_by_label("Group by")).to_have_value("optimizer.lr")
        expect(one.locator("#curves input[type=range]")).to_have_value("0.6")
    assert again.locator("#verdicts").inner_text() == page.locator("#verdicts").inner_text()
    again.locator("select[name=view]").select_option("runs")
    drawn(again, "curves", 16)


def test_verdict_and_lines_are_displayed_for_any_names_of_arms(opened: Opened, served: Serving) -> None:
    spec = {**BASE, "epochs": 2}
    long = "a " + "very" * 14
    arms: dict[str, Any] = {long: {}, "50%|7C": {"optimizer": {"lr": 0.01}}, "50%": {"optimizer": {"lr": 0.02}}}
    study = served.client.studies.create(base=spec, arms=arms, seeds=2)
    study.wait(scaled(60))
    page = opened(f"/studies/{study.id}")
    drawn(page, "curves", 3)
    page.locator("#curves .key", has_text=long).click()
    drawn(page, "curves", 2)
    page.locator("#curves .key", has_text=re.compile("^50%$")).click()
    again = opened(page.url)
    drawn(again, "curves", 1)
    expect(again.locator('#curves .key[aria-pressed="true"]')).to_have_text("50%|7C")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator("#verdicts").evaluate("(one) => one.scrollWidth <= one.clientWidth"), width
    page.get_by_label("Group by").select_option("seed")
    expect(page.locator("#verdict-line")).to_contain_text("no two groups share a seed")


def test_study_on_several_datasets_displays_profiles_and_ranks(opened: Opened, served: Serving) -> None:
    arms: dict[str, Any] = {"plain": {}, "slow": {"optimizer": {"lr": 0.02}}}
    datasets: dict[str, Any] = {"small": {"train_size": 50}, "mnist1d": {"kind": "mnist1d"}}
    study = served.client.studies.create(base={**BASE, "epochs": 2}, arms=arms, datasets=datasets, seeds=2)
    study.wait(scaled(60))
    page = opened(f"/studies/{study.id}")
    expect(page.locator("#across-line")).to_contain_text("2 are too few for any verdict; 6 could be enough")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator("#profiles .line")).to_have_count(2)
        expect(page.locator("#ranks .dot")).to_have_count(2)
        expect(page.locator("#ranks .group")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("#across .state")).to_have_text(["undecided", "undecided"])


def test_importance_of_columns_over_a_study_equals_the_api(opened: Opened, served: Serving, trained: Trained) -> None:
    base = {**BASE, "dataset": {"kind": "uploaded", "id": trained.table.id}, "model": {"kind": "linear"}, "epochs": 2}
    arms: dict[str, Any] = {"plain": {}, "slower": {"optimizer": {"lr": 0.001}}}
    study = served.client.studies.create(base=base, arms=arms, seeds=2)
    study.wait(scaled(60))
    page = opened(f"/studies/{study.id}")
    section = page.locator("#importance")
    section.scroll_into_view_if_needed()
    expect(section.locator("[data-summary]")).to_contain_text("4 runs in all")
    expect(section.locator("thead th")).to_have_text(["Column", *arms])
    measured = page.request.get(section.get_attribute("data-url") or "").json()
    columns = [one["column"] for one in measured["arms"][0]["columns"]]
    assert NASTY[:90] in columns
    expect(section.locator("tbody th")).to_have_text(columns)
    means = [one["mean"] for arm in measured["arms"] for one in arm["columns"]]
    expect(section.locator("tbody svg")).to_have_count(sum(mean is not None for mean in means))
    assert section.locator("script, img").count() == 0


def test_bias_and_variance_of_a_study_equal_the_api(opened: Opened, served: Serving) -> None:
    arms: dict[str, Any] = {"k = 1": {}, "k = 9": {"epochs": 9}}
    base = {"dataset": BASE["dataset"], "model": {"kind": "knn"}, "epochs": 1}
    study = served.client.studies.create(base=base, arms=arms, replicates={"n": 3}, at="last")
    study.wait(scaled(60))
    page = opened(f"/studies/{study.id}")
    section = page.locator("#bias-variance")
    expect(section.locator("table")).to_have_count(0)
    section.get_by_role("button", name="Compute").click()
    expect(section.locator("[data-summary]")).to_contain_text(
        "bias + net variance; the variance is that over seed, split"
    )
    expect(section.locator("tbody tr")).to_have_count(6)
    expect(section.get_by_role("button")).to_have_count(0)
    for arm in study.bias_variance().arms:
        row = section.locator("tbody tr", has=page.locator("th", has_text=arm.arm))
        expect(row.locator("td").nth(1)).to_have_text("Cross-entropy")
        expect(row.locator("td").nth(2)).to_have_text(f"{arm.losses['cross_entropy'].loss:.4f}")


def test_bias_and_variance_that_cannot_be_computed_say_why(opened: Opened, watched: Watched, served: Serving) -> None:
    watched.expected.add(422)
    base = {**BASE, "dataset": {"kind": "linear"}, "model": {"kind": "linear"}, "epochs": 1}
    study = served.client.studies.create(base=base, arms={"plain": {}}, seeds=2, at="last")
    study.wait(scaled(60))
    section = opened(f"/studies/{study.id}").locator("#bias-variance")
    section.get_by_role("button", name="Compute").click()
    expect(section.locator("[data-summary]")).to_contain_text("different test rows")


def test_table_and_csv_equal_the_api(opened: Opened, trained: Trained) -> None:
    page = opened(f"/studies/{trained.study.id}")
    drawn(page, "curves", 4)
    (curve,) = [one for one in trained.study.compare(curves=["val.loss"]).curves["val.loss"] if one["arm"] == "dropout"]
    with page.expect_download() as loading:
        page.locator("#curves").get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(loading.value.path()).read_text())))
    assert [float(row["dropout"]) for row in rows] == pytest.approx(curve["mean"])
    assert [float(row["dropout low"]) for row in rows] == pytest.approx(curve["low"])
    assert {int(row["dropout n"]) for row in rows} == {8}
    page.locator("#curves summary").click()
    cells = page.locator("#curves tbody tr").first.locator("td").all_inner_texts()
    assert float(cells[4]) == pytest.approx(curve["mean"][0], rel=1e-4)
    with page.expect_download() as picture:
        page.locator("#curves").get_by_role("button", name="PNG").click()
    assert Path(picture.value.path()).read_bytes().startswith(b"\x89PNG")


def test_formulas_are_escaped_in_csv(opened: Opened) -> None:
    page = opened("/")
    rows = [["=1+1", "+a", "-b", "@c", 'plain, "x"'], [-1.5, None, 2]]
    path = "/static/any/js/kit/csv.js"
    text = page.evaluate("([path, rows]) => import(path).then((csv) => csv.toCsv(rows))", [path, rows])
    assert text == '\'=1+1,\'+a,\'-b,\'@c,"plain, ""x"""\n-1.5,,2\n'


def test_report_is_one_file_that_requests_nothing_and_fits_a_phone(
    opened: Opened, trained: Trained, watched: Watched
) -> None:
    reported = {f"/runs/{trained.overfit.id}": "Loss", f"/studies/{trained.study.id}": "Comparison"}
    for path, heading in reported.items():
        page = opened(path)
        with page.expect_download(
            timeout=scaled(90_000)
        ) as loading:  # the first picture starts a process, which others may use
            page.locator("a[href*='/report']").click()
        text = Path(loading.value.path()).read_text()
        assert not re.search(r"<script|<link|src=\"(?!data:)|url\((?!data:)|@import", text)
        offline = page.context.browser.new_context(offline=True)  # type: ignore[union-attr]
        copy = offline.new_page()
        watched.watch(copy)
        copy.set_content(text)
        expect(copy.get_by_role("heading", name=heading)).to_be_visible()
        assert copy.locator("svg.figure path.line").count() >= 3
        copy.set_viewport_size({"width": 390, "height": 844})
        assert copy.evaluate("document.documentElement.scrollWidth") <= 390
        offline.close()
    address = f"{watched.origin}/studies/{trained.study.id}/report?baseline=dropout&by=arm&curve=test.loss"
    report = httpx2.get(address).text
    assert "plain − dropout" in report
    assert "test.loss, mean ± one standard deviation over seeds" in report


def test_drag_zooms_every_chart_and_all_resets_them(opened: Opened, trained: Trained) -> None:
    page = opened(f"/runs/{trained.overfit.id}")
    drawn(page, "losses", 4)
    drawn(page, "scores", 4)
    drawn(page, "others", 1)
    box = page.locator("#losses .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 95, steps=4)
    expect(page.locator("#losses .tip")).to_contain_text("val.loss")
    page.mouse.up()
    page.wait_for_url(re.compile(r"zoom=1[4-7][\d.]*\.\.(29|30|31)"))
    page.locator("#others").get_by_role("button", name="lr").click()
    drawn(page, "others", 2)
    page.locator("#losses").get_by_role("button", name="test.loss").click()
    again = opened(page.url)
    for name, lines in (("scores", 4), ("losses", 3), ("others", 2)):
        drawn(again, name, lines)
    page.locator("#losses").get_by_role("button", name="test.loss").click()
    page.locator("#others").get_by_role("button", name="lr").click()
    page.locator("#losses").get_by_role("button", name="Show all epochs").click()
    page.wait_for_url(re.compile(r"/run_\w+$"))
