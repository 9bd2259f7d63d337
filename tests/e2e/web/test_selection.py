"""The list of runs: folded studies, search by name, labels, and what is done with selected runs."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from fitwell.run import Run
from tests.e2e.web.conftest import BASE, NASTY, Opened, Trained, Watched
from tests.patience import scaled
from tests.processes import Serving


@pytest.fixture
def three(served: Serving, trained: Trained) -> list[Run]:
    """Finished runs with a label of their own: an equal run has been trained, so these end at once."""
    spec, client = {**BASE, "seed": 77}, served.client
    return [
        client.runs.create(name=f"chosen {name}", labels={"pick": name}, **spec) for name in ("one", "two", "three")
    ]


def open_three(opened: Opened, **options: object) -> Page:
    page = opened("/?filter=" + quote('labels.pick ~ ""') + "&name=chosen", **options)
    expect(page.locator("tr[data-run]").first).to_be_visible()
    return page


def names(page: Page) -> list[str]:
    return page.locator(".row-link").all_inner_texts()


def test_study_is_one_row_that_opens_by_keyboard(opened: Opened, trained: Trained) -> None:
    page = opened("/?filter=" + quote(f'study_id = "{trained.study.id}"'))
    assert names(page) == ["Does dropout help?"]
    expect(page.locator("tr.study .summary")).to_contain_text("32 succeeded")
    toggle = page.get_by_role("button", name="Runs of Does dropout help?")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.focus()
    page.keyboard.press("Enter")
    expect(page.locator("tr[data-run]")).to_have_count(32)
    expect(toggle).to_have_attribute("aria-expanded", "true")
    assert parse_qs(urlsplit(page.url).query)["open"] == [trained.study.id]
    page.reload()
    expect(page.locator("tr[data-run]")).to_have_count(32)
    toggle.click()
    expect(page.locator("tr[data-run]")).to_have_count(0)
    page.get_by_label("Group").select_option("none")
    expect(page.locator("tr[data-run]")).to_have_count(32)


def test_search_looks_in_names_arms_and_studies_and_takes_any_text(opened: Opened, trained: Trained) -> None:
    page = opened("/")
    search = page.get_by_role("textbox", name="Search by name")
    search.fill("OVERFIT dig")
    expect(page.locator(".row-link")).to_have_text(["overfit digits"])
    assert parse_qs(urlsplit(page.url).query) == {"name": ["OVERFIT dig"]}
    search.fill("dropout + l2")
    expect(page.locator(".row-link")).to_have_text(["Does dropout help?"])
    search.fill(NASTY[:60])
    expect(page.locator(".row-link")).to_have_text([NASTY])
    search.fill('100 %_\\"')
    expect(page.locator("#list")).to_contain_text("No matching runs")


def test_click_on_a_label_lists_the_runs_that_have_it(opened: Opened, three: list[Run]) -> None:
    page = open_three(opened)
    page.get_by_role("link", name="pick=two").first.click()
    page.wait_for_url("**label=pick*")
    assert set(names(page)) == {"chosen two"}
    page.get_by_label("Sort").select_option("created_at")
    page.wait_for_url("**sort=created_at*")
    assert set(names(page)) == {"chosen two"}
    page.get_by_role("link", name="Show runs without the label").click()
    expect(page.locator("tr[data-run] >> text=chosen one").first).to_be_visible()
    page.goto(f"/runs/{three[2].id}")
    page.get_by_role("link", name="pick=three").click()
    expect(page.locator(f"#{three[2].id}")).to_be_visible()


def test_selected_runs_are_labeled_and_deleted(opened: Opened, served: Serving, three: list[Run]) -> None:
    page = open_three(opened)
    bar = page.get_by_role("region", name="Selected runs")
    expect(bar).to_be_hidden()
    page.locator(f"#{three[0].id} input").check()
    page.locator(f"#{three[1].id} input").focus()
    page.keyboard.press("Space")
    expect(bar).to_contain_text("2 runs selected")
    expect(page.locator("#pick-all")).to_have_js_property("indeterminate", True)
    page.reload()
    expect(bar).to_contain_text("2 runs selected")
    bar.get_by_role("button", name="Label").click()
    page.get_by_label("Labels to add").fill("group=<a>\nbroken")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("“broken” has no =")
    page.get_by_label("Labels to add").fill("group=<a>")
    page.get_by_label("Labels to remove").fill("pick")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert [run.refresh().labels for run in three] == [{"group": "<a>"}, {"group": "<a>"}, {"pick": "three"}]
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(bar).to_be_hidden()
    remaining = [run.id for run in served.client.runs.list(filter='name ~ "chosen"')]
    assert three[2].id in remaining
    assert not {three[0].id, three[1].id} & set(remaining)


def test_active_run_is_cancelled_but_not_deleted(
    opened: Opened, served: Serving, trained: Trained, watched: Watched
) -> None:
    watched.expected = {409}
    run = served.client.runs.create(name="endless", **{**BASE, "epochs": 50_000, "seed": 5})
    page = opened("/?name=endless", viewport={"width": 390, "height": 844})
    page.locator(f"#{run.id} input").check()
    bar = page.get_by_role("region", name="Selected runs")
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Cancel it first")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    bar.get_by_role("button", name="Cancel").click()
    expect(page.locator(f"#{run.id} .state")).to_have_text(re.compile("cancel"))
    assert run.wait(scaled(60), check=False).status == "cancelled"
