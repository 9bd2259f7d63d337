"""The page of a grid: a column for each varied field, and figures of fields, seeds and shares of variance."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from fitwell.study import Study
from tests.e2e.web.conftest import Opened, Trained, Watched
from tests.patience import scaled
from tests.processes import Serving

TINY: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 60, "validation_size": 60},
    "model": {"kind": "mlp", "hidden": [4]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "regularizers": [{"kind": "l2", "strength": 0.01}],
    "epochs": 2,
    "batch_size": 30,
}
RATES, STRENGTHS = [1.5, 0.1, 0.001], [0.0, 0.01]
SPACE: dict[str, Any] = {
    "optimizer.lr": {"distribution": "log_uniform", "low": 0.001, "high": 1},
    "regularizers.0.strength": {"distribution": "log_uniform", "low": 1e-5, "high": 0.1},
    "model.hidden": {"distribution": "choice", "values": [[4], [4, 4]]},
}


@pytest.fixture(scope="module")
def grid(served: Serving) -> Study:
    axes = {"optimizer.lr": RATES, "regularizers.0.strength": STRENGTHS}
    study = served.client.studies.create(name="grid", base=TINY, grid=axes, seeds=6, metric="val.loss")
    return study.wait(scaled(120))


def cells(page: Page, column: int) -> list[str]:
    """Return the visible texts of a column of the comparison, from the top."""
    rows = page.locator("#verdicts tbody tr").all()
    return [row.locator("th:visible, td:visible").nth(column).inner_text() for row in rows]


def table_of(place: Locator) -> list[list[str]]:
    rows = place.locator("tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def number(text: str) -> float:
    return float(text.replace("−", "-").split(",")[0])


def test_grid_has_a_sortable_column_for_each_field(opened: Opened, grid: Study) -> None:
    page = opened(f"/studies/{grid.id}")
    headings = page.locator("#verdicts thead th:visible")
    expect(headings).to_have_text(
        ["lr", "strength", "Mark", "n", "val.loss, best", "95 % interval", "Difference", "p (maxT)", "Verdict"]
    )
    assert cells(page, 0) == ["1.5", "1.5", "0.1", "0.1", "0.001", "0.001"]
    page.locator("#verdicts").get_by_role("button", name="lr").focus()
    page.keyboard.press("Enter")
    expect(headings.first).to_have_attribute("aria-sort", "ascending")
    assert cells(page, 0) == ["0.001", "0.001", "0.1", "0.1", "1.5", "1.5"]
    page.keyboard.press("Enter")
    expect(headings.first).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="val.loss, best").click()
    means = [number(text.split(" ")[0]) for text in cells(page, 4)]
    assert means == sorted(means)
    again = opened(page.url)
    expect(again.locator('#verdicts th[aria-sort="ascending"]')).to_have_text(re.compile(r"val\.loss, best"))
    assert cells(again, 4) == cells(page, 4)


def test_best_arm_and_those_within_one_standard_error_are_marked_with_words(opened: Opened, grid: Study) -> None:
    comparison = grid.compare()
    assert comparison.best == grid.choice(metric="val.loss").best
    page = opened(f"/studies/{grid.id}?sort=mean")
    expect(page.locator("#verdicts tbody tr")).to_have_count(6)
    words = {"best": 1, "within 1 SE": sum(arm.within_one_standard_error or False for arm in comparison.arms) - 1}
    marks = cells(page, 2)
    assert {word: sum(word in mark for mark in marks) for word in words} == words
    assert "best" in marks[0]
    expect(page.locator("#fine-print")).to_contain_text(f"{words['within 1 SE'] + 1} of 6 arms are within")


def test_phone_has_the_fields_in_one_column_and_sorts_by_any(opened: Opened, grid: Study) -> None:
    page = opened(f"/studies/{grid.id}", viewport={"width": 390, "height": 844})
    sort = page.get_by_label("Sort by")
    sort.select_option("lr ↑")
    assert cells(page, 0)[0].split() == ["lr", "0.001", "strength", "0"]
    expect(sort).to_be_focused()
    assert page.locator("#verdicts").evaluate("(one) => one.scrollWidth <= one.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_metric_is_drawn_by_each_field_with_every_seed(opened: Opened, grid: Study) -> None:
    page = opened(f"/studies/{grid.id}")
    figure = page.get_by_role("img", name="val.loss by lr, logarithmic lr")
    expect(figure.locator("circle.seed")).to_have_count(36)
    expect(figure.locator("path.line")).to_have_count(2)
    page.get_by_label("Lines").select_option("All arms together")
    expect(figure.locator("path.line")).to_have_count(1)
    page.locator("[data-strength-data] summary").click()
    rows = table_of(page.locator("[data-strength-data]"))
    assert [row[:2] for row in rows[1:]] == [["0.001", "12"], ["0.1", "12"], ["1.5", "12"]]
    values = [one.value for arm in grid.compare().arms if "lr=1.5" in arm.id for one in arm.values]
    assert number(rows[3][2]) == pytest.approx(sum(values) / 12, abs=1e-4)
    page.locator("select[name=field]").select_option("strength")
    again = opened(page.url)
    expect(again.get_by_role("img", name="val.loss by strength")).to_be_visible()
    expect(again.get_by_label("Lines")).to_have_value("none")


def test_two_fields_are_a_heat_map_and_a_table(opened: Opened, grid: Study) -> None:
    page = opened(f"/studies/{grid.id}")
    figure = page.get_by_role("img", name="Mean val.loss by lr and strength")
    expect(figure.locator("rect.cell")).to_have_count(6)
    expect(figure.locator("rect.cell.best")).to_have_count(1)
    rows = table_of(page.get_by_role("region", name="Means by two fields"))
    assert [row[0] for row in rows[1:]] == ["0.001", "0.1", "1.5"]
    means = {arm.id: arm.mean for arm in grid.compare().arms}
    assert number(rows[3][2]) == pytest.approx(means["base [optimizer.lr=1.5, regularizers.0.strength=0.01]"], abs=1e-4)
    assert sum("best" in text for row in rows for text in row) == 1


def test_three_fields_are_parallel_coordinates(opened: Opened, served: Serving) -> None:
    sample = {"n": 5, "seed": 1, "space": SPACE}
    study = served.client.studies.create(name="sampled", base=TINY, sample=sample, seeds=2, metric="val.loss")
    study.wait(scaled(120))
    page = opened(f"/studies/{study.id}")
    figure = page.get_by_role("img", name="Parallel coordinates of lr, strength, hidden and val.loss")
    expect(figure.locator("path.parallel")).to_have_count(5)
    expect(figure.locator("path.parallel.best")).to_have_count(1)
    expect(figure.get_by_text("best", exact=True)).to_be_visible()
    page.locator("select[name=field]").select_option("hidden")
    expect(page.get_by_role("img", name="val.loss by hidden").locator("circle.seed")).to_have_count(10)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(figure.locator("path.parallel")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_every_seed_is_a_dot_beside_its_difference_and_verdict(opened: Opened, trained: Trained) -> None:
    page = opened(f"/studies/{trained.study.id}")
    comparison = trained.study.compare()
    expect(page.locator("#fields")).to_have_count(0)
    strips = page.locator("#seeds [data-strip]")
    expect(strips.locator("circle.seed")).to_have_count(sum(arm.n for arm in comparison.arms))
    differences = page.locator("#seeds [data-differences]")
    expect(differences.locator("circle.seed")).to_have_count(sum(pair.n for pair in comparison.pairs))
    for verdict, pair in zip(differences.locator(".verdict").all(), comparison.pairs, strict=True):
        expect(verdict).to_contain_text(pair.verdict)
    strips.locator("summary").click()
    rows = table_of(strips)
    assert [row[0] for row in rows[1:]] == [arm.id for arm in comparison.arms]
    values = [one.value for one in comparison.arms[1].values]
    assert [number(text) for text in rows[2][3:]] == pytest.approx(values, abs=1e-4)


def test_crossed_study_displays_its_shares_of_variance(opened: Opened, served: Serving, trained: Trained) -> None:
    arms: dict[str, Any] = {"plain": {}, "slow": {"optimizer": {"lr": 0.01}}}
    study = served.client.studies.create(base=TINY, arms=arms, replicates={"seeds": 2, "splits": 3}, metric="val.loss")
    study.wait(scaled(120))
    page = opened(f"/studies/{study.id}")
    expect(page.locator("#shares tbody tr")).to_have_count(3)
    variance = study.compare().arms[0].variance
    assert variance is not None
    shares = [f"{100 * share:.0f} %" for share in (variance.split, variance.seed, variance.residual)]
    assert table_of(page.locator("#shares"))[1][3:] == shares
    assert page.locator("#shares tbody tr").first.locator("rect").count() == 3
    other = opened(f"/studies/{trained.study.id}")
    expect(other.locator("#seeds")).to_be_visible()
    expect(other.locator("#shares")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_of_a_grid_are_accessible(opened: Opened, watched: Watched, grid: Study, theme: str) -> None:
    page = opened(f"/studies/{grid.id}", color_scheme=theme)
    expect(page.locator("#seeds [data-differences] svg")).to_be_visible()
    for summary in page.locator("#fields summary, #seeds summary").all():
        summary.click()
    violations = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in violations] == []
    assert watched.wrong == []
