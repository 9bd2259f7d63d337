"""The list of runs, as people see it: filtered, sorted, grouped, in pages, live."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import expect

from tests.e2e.web.conftest import BASE, Opened, Trained, Watched, shoot
from tests.patience import scaled
from tests.processes import Serving


def test_back_returns_to_the_unchanged_list(opened: Opened, trained: Trained) -> None:
    page = opened("/?filter=" + quote('labels.list = "short"'))
    page.locator("label", has_text="failed").click()
    expect(page.locator("tr[data-run]")).to_have_count(1)
    page.get_by_role("link", name="too fast").click()
    expect(page.locator(".verdict-word")).to_have_text("diverged")
    page.go_back()
    expect(page.locator("tr[data-run]")).to_have_count(1)
    expect(page.get_by_role("checkbox", name="failed")).to_be_checked()
    page.go_back()
    expect(page.get_by_role("link", name="overfit digits")).to_be_visible()


def test_filter_sort_and_group_are_in_the_url(opened: Opened, trained: Trained, served: Serving) -> None:
    page = opened("/")
    expect(page.locator("tr[data-run] svg").first).to_be_visible()
    shoot(page, "runs-light")
    page.locator("label", has_text="failed").click()
    expect(page.locator("tr[data-run]")).to_have_count(1)
    expect(page.locator(".row-link")).to_have_text("too fast")
    assert page.url.endswith("/?state=failed")
    page.locator("label", has_text="failed").click()
    page.get_by_role("searchbox").fill(f'study_id = "{trained.study.id}" AND spec.optimizer.lr < 0.01')
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("tr[data-study]")).to_have_count(1)
    page.get_by_label("Group").select_option("arm")
    expect(page.locator("tr[data-run]")).to_have_count(8)
    expect(page.locator("tr.group")).to_have_text(re.compile("hobbled"))
    page.get_by_role("link", name="Best").click()
    expect(page.locator("th", has_text="Best")).to_have_attribute("aria-sort", "ascending")
    again = opened(page.url)
    assert again.locator(".row-link").all_inner_texts() == page.locator(".row-link").all_inner_texts()
    with again.expect_download() as loading:
        again.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(loading.value.path()).read_text())))
    listed = {run.id: run for run in served.client.runs.list(study_id=trained.study.id)}
    assert [row["id"] for row in rows] == again.locator("tr[data-run]").evaluate_all("all => all.map((one) => one.id)")
    for row in rows:
        assert float(row["last.test.loss"]) == listed[row["id"]].last["test.loss"]
    best = again.locator('td[data-label="Best"]').evaluate_all("all => all.map((one) => Number(one.firstChild.data))")
    assert best == sorted(best)


def test_list_shows_an_error_until_the_server_responds(opened: Opened, watched: Watched, trained: Trained) -> None:
    page = opened("/?state=failed")
    unheard = len(watched.wrong)
    page.context.set_offline(True)
    page.get_by_role("button", name="CSV").click()
    expect(page.locator("#list-error")).to_contain_text("does not respond")
    page.context.set_offline(False)
    page.get_by_label("Sort").select_option("created_at")
    expect(page.locator("#list-error")).to_be_empty()
    page.context.set_offline(True)
    page.get_by_label("Sort").select_option("best.value")
    expect(page.locator("#list-error")).to_contain_text("does not respond")
    errors, watched.wrong[unheard:] = watched.wrong[unheard:], []
    assert all("Failed to load" in one or "Failed to fetch" in one for one in errors), errors


def test_invalid_filter_is_reported_next_to_its_field(opened: Opened, watched: Watched) -> None:
    watched.expected = {422}
    page = opened("/?filter=" + quote("best.value <"))
    expect(page.locator("#filter-error")).to_contain_text("syntax error")
    expect(page.get_by_role("searchbox")).to_have_value("best.value <")


def test_list_updates_while_it_is_open(opened: Opened, served: Serving, trained: Trained) -> None:
    page = opened("/?state=active")
    run = served.client.runs.create(name="seen from afar", **{**BASE, "epochs": 250, "seed": 91})
    row = page.locator(f"#{run.id}")
    expect(row.locator(".row-link")).to_have_text("seen from afar")
    expect(row.locator(".state")).to_have_text("running")
    run.wait(scaled(60))
    expect(row).to_have_count(0)


def test_invisible_name_is_replaced_by_the_end_of_the_id(opened: Opened, served: Serving) -> None:
    spec = {**BASE, "epochs": 2}
    run = served.client.runs.create(name=" \u200b", seed=79, **spec)
    study = served.client.studies.create(name="\u2003", base=spec, arms={"only": {}}, seeds=1)
    opened("/").get_by_role("link", name=f"run …{run.id[-6:]}").click()
    page = opened("/studies")
    page.get_by_role("link", name=f"Study …{study.id[-6:]}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Study …{study.id[-6:]}")


def test_pages_of_a_long_list_lose_no_run(opened: Opened, served: Serving, trained: Trained) -> None:
    spec = {**BASE, "seed": 77}  # an equal one has been trained, so these end at once
    created = [served.client.runs.create(labels={"list": "long"}, **spec).id for _ in range(60)]
    page = opened("/?filter=" + quote('labels.list = "long"'))
    listed = list[str]()
    for expected in (50, 10):
        expect(page.locator("tr[data-run]")).to_have_count(expected)
        listed += page.locator("tr[data-run]").evaluate_all("rows => rows.map(row => row.id)")
        if len(listed) < len(created):
            page.get_by_role("link", name="Next page").click()
            page.wait_for_url(re.compile("after="))
            expect(page.locator(f"#{created[-1 - len(listed)]}")).to_be_visible()
    assert listed == created[::-1]
    page.get_by_role("link", name="First page").click()
    expect(page.locator(f"#{created[-1]}")).to_be_visible()
