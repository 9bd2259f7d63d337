"""The page that compares any runs, from their selection in the list."""

from __future__ import annotations

from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.web.conftest import BASE, Opened, Trained, drawn
from tests.patience import scaled
from tests.processes import Serving


def test_selected_runs_are_overlaid_like_for_like(opened: Opened, served: Serving, trained: Trained) -> None:
    focal = {**BASE, "epochs": 3, "loss": {"kind": "focal"}}
    other = served.client.runs.create(name="<b>focal", labels={"set": "compare"}, **focal)
    other.wait(scaled(60))
    page = opened("/?filter=" + quote('name = "overfit digits" OR labels.set = "compare"'))
    page.locator(f"#{other.id} input").check()
    page.locator(f"#{trained.overfit.id} input").check()
    page.get_by_role("link", name="Overlay and compare").click()
    page.wait_for_url("**/compare?runs=*")
    drawn(page, "curves", 2)
    expect(page.locator("#curves-title")).to_have_text("val.accuracy")
    page.get_by_label("Series").select_option("val.loss")
    drawn(page, "curves", 1)
    assert "metric=val.loss" in page.url
    expect(page.locator("#excluded")).to_contain_text(
        "overfit digits is left out: its loss is cross_entropy, not focal"
    )
    page.get_by_role("link", name="Use as reference").click()
    page.get_by_label("Series").select_option("val.loss")
    expect(page.locator("#excluded")).to_contain_text("<b>focal is left out: its loss is focal")
    row = page.get_by_role("region", name="Differences between specs").get_by_role("row", name="loss.kind")
    expect(row).to_contain_text("focal")
    best = trained.overfit.best
    assert best is not None
    figures = page.get_by_role("region", name="Figures at the best epoch")
    expect(figures.get_by_role("row", name="val.loss", exact=False).first).to_contain_text(f"{best.value:.4f}")
    page.get_by_role("link", name="Remove <b>focal").click()
    expect(page.locator("#curves .key")).to_have_count(1)
    expect(page.locator("main")).to_contain_text("Only one run: nothing to compare.")


def test_comparison_is_accessible_and_fits_a_phone(opened: Opened, served: Serving, trained: Trained) -> None:
    runs = [run.id for run in served.client.runs.list(study_id=trained.study.id) if run.seed < 2]
    page = opened(f"/compare?runs={','.join(runs)}", viewport={"width": 390, "height": 844})
    drawn(page, "curves", 8)
    expect(page.get_by_role("link", name="Make a study of them")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(50)
        violations = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in violations] == [], theme
    page.get_by_role("link", name="Make a study of them").click()
    cost = page.get_by_role("region", name="Size and cost")
    expect(cost).to_contain_text("Finished already8")
