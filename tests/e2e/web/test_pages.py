"""Runs, a run, a study, as people see them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.web.conftest import BASE, NASTY, Opened, Trained, Watched, shoot
from tests.patience import eventually, scaled
from tests.processes import Serving


def drawn(page: Page, chart: str, lines: int) -> None:
    """Wait until a chart shows so many lines, and something is painted."""
    expect(page.locator(f"#{chart} [data-plot]")).to_have_attribute("data-drawn", str(lines))
    painted = (
        "([id]) => { const c = document.querySelector(`#${id} canvas`);"
        "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v) }"
    )
    assert page.evaluate(painted, [chart])


def test_a_run_submitted_in_the_form_grows_live_until_it_is_told_to_overfit(opened: Opened, served: Serving) -> None:
    page = opened("/runs/new")
    page.get_by_label("name", exact=True).fill("made in the form")
    page.get_by_label("epochs", exact=True).fill("300")
    page.get_by_label("hidden", exact=True).fill("128, 128")
    page.get_by_label("seed", exact=True).fill("5")
    expect(page.locator("#cost")).to_contain_text("26,122")  # parameters: the server has looked at what was typed
    shoot(page, "new-light", whole=True)
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/run_"))
    epochs = page.locator("#head .facts .progress .num")
    seen = set[str]()

    def growing() -> bool:
        seen.add(epochs.inner_text())
        return len(seen) > 2

    eventually(growing, 30)
    expect(page.locator("#head .state")).to_have_text("succeeded", timeout=scaled(60_000))
    expect(page.locator(".verdict")).to_contain_text("overfits")
    expect(page.locator(".verdict")).to_contain_text("To try next")
    page.locator("#losses summary").click()
    expect(page.locator("#losses tbody tr")).to_have_count(300)
    expect(page.locator(".histogram svg")).to_have_count(6)
    run = served.client.runs.get(page.url.rpartition("/")[2].partition("?")[0])
    assert (run.name, run.spec["model"]["hidden"], run.progress.epoch) == ("made in the form", [128, 128], 300)


def test_what_the_server_refuses_stands_at_its_field(opened: Opened, watched: Watched) -> None:
    watched.expected = {422}
    page = opened("/runs/new")
    page.get_by_label("lr", exact=True).fill("-1")
    expect(page.locator('[data-error="/optimizer/lr"]')).to_contain_text("greater than 0")
    expect(page.get_by_label("lr", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Add to regularizers").select_option("dropout")
    page.get_by_label("p", exact=True).fill("many")
    expect(page.locator('[data-error="/regularizers/0/p"]')).to_contain_text("number")
    page.get_by_label("p", exact=True).fill("0.3")
    page.get_by_label("lr", exact=True).fill("1e-2")
    expect(page.locator("#cost")).to_contain_text("Parameters")
    assert json.loads(page.locator("#json").input_value())["regularizers"] == [{"kind": "dropout", "p": 0.3}]
    again = opened(page.url)
    expect(again.get_by_label("p", exact=True)).to_have_value("0.3")
    again.get_by_label("Kind of optimizer").select_option("adam")
    again.locator("#json").fill(json.dumps({**BASE, "epochs": "x"}))
    expect(again.locator('[data-error="/epochs"]')).to_contain_text("integer")


SHAPELESS: tuple[Any, ...] = (
    {"regularizers": 5},
    {"regularizers": [None]},
    {"stop": "soon"},
    {"model": {"kind": "constructor"}},
)


def test_a_spec_of_any_shape_leaves_the_form_standing(opened: Opened, watched: Watched) -> None:
    watched.expected = {422}
    for no_object in ("null", "5", "[]"):
        expect(opened(f"/runs/new?spec={no_object}").locator("#cost")).to_contain_text("Parameters")
    for shapeless in SHAPELESS:
        page = opened("/runs/new?spec=" + quote(json.dumps({**BASE, **shapeless})))
        expect(page.locator("[data-error]:not(:empty)").first).to_be_visible()
        page.locator("#json").fill(json.dumps(BASE))
        expect(page.locator("#cost")).to_contain_text("Parameters")
        page.locator("#json").fill(json.dumps({**BASE, **shapeless}))
        expect(page.locator("#json-error")).to_be_empty()
        expect(page.locator("[data-error]:not(:empty)").first).to_be_visible()


def test_a_shared_address_shows_the_same_comparison_in_a_fresh_browser(opened: Opened, trained: Trained) -> None:
    page = opened(f"/studies/{trained.study.id}")
    drawn(page, "curves", 4)
    told = trained.study.compare().against("plain")
    for arm in ("dropout", "dropout + l2", "hobbled"):
        row = page.locator("#verdicts tr", has=page.get_by_role("rowheader", name=arm, exact=True))
        expect(row.locator(".state")).to_have_text(told[arm].verdict)
    shoot(page, "study-light", whole=True)
    page.get_by_label("Pairs").select_option("With dropout")
    row = page.locator("#verdicts tr", has=page.get_by_role("rowheader", name="plain", exact=True))
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


def test_the_verdict_is_seen_and_the_lines_are_chosen_whatever_arms_are_called(opened: Opened, served: Serving) -> None:
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


def test_a_table_holds_what_the_api_says_and_csv_is_the_same(opened: Opened, trained: Trained) -> None:
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
    shown = page.locator("#curves tbody tr").first.locator("td").all_inner_texts()
    assert float(shown[4]) == pytest.approx(curve["mean"][0], rel=1e-4)
    with page.expect_download() as picture:
        page.locator("#curves").get_by_role("button", name="PNG").click()
    assert Path(picture.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_text_that_a_spreadsheet_would_compute_is_text_in_csv(opened: Opened) -> None:
    page = opened("/")
    rows = [["=1+1", "+a", "-b", "@c", 'plain, "x"'], [-1.5, None, 2]]
    path = "/static/any/js/kit/csv.js"
    told = page.evaluate("([path, rows]) => import(path).then((csv) => csv.toCsv(rows))", [path, rows])
    assert told == '\'=1+1,\'+a,\'-b,\'@c,"plain, ""x"""\n-1.5,,2\n'


def test_a_report_is_one_file_that_asks_for_nothing(opened: Opened, trained: Trained, watched: Watched) -> None:
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
        there = offline.new_page()
        watched.watch(there)
        there.set_content(text)
        expect(there.get_by_role("heading", name=heading)).to_be_visible()
        assert there.locator("svg.figure path.line").count() >= 3
        offline.close()
    address = f"{watched.origin}/studies/{trained.study.id}/report?baseline=dropout&by=arm&curve=test.loss"
    told = httpx2.get(address).text
    assert "plain − dropout" in told
    assert "test.loss, mean ± one standard deviation over seeds" in told


def test_a_drag_zooms_every_chart_of_the_page_and_all_shows_all(opened: Opened, trained: Trained) -> None:
    page = opened(f"/runs/{trained.overfit.id}")
    drawn(page, "losses", 3)
    drawn(page, "scores", 3)
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
    for name, lines in (("scores", 3), ("losses", 2), ("others", 2)):
        drawn(again, name, lines)
    page.locator("#losses").get_by_role("button", name="test.loss").click()
    page.locator("#others").get_by_role("button", name="lr").click()
    page.locator("#losses").get_by_role("button", name="Show all epochs").click()
    page.wait_for_url(re.compile(r"/run_\w+$"))


def test_neighbours_have_no_picture_and_no_onnx_to_offer(opened: Opened, served: Serving) -> None:
    digits = {"kind": "digits", "train_size": 100}
    run = served.client.runs.create(name="neighbours", dataset=digits, model={"kind": "knn"}, epochs=3)
    run.wait(scaled(60))
    page = opened(f"/runs/{run.id}")
    drawn(page, "losses", 3)
    expect(page.get_by_role("heading", name="Confusion matrix")).to_be_visible()
    expect(page.locator(".pictures")).to_have_count(0)
    expect(page.locator(".downloads a", has_text=".onnx")).to_have_count(0)


def test_what_people_type_is_text(opened: Opened, trained: Trained) -> None:
    page = opened("/?filter=" + quote("seed = 78"))
    expect(page.get_by_role("link", name=NASTY)).to_be_visible()
    page.get_by_role("link", name=NASTY).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NASTY)
    assert page.title() == f"{NASTY} · Fitwell"
    assert page.locator("main script, main img[src=x]").count() == 0
    filtered = opened(f"/?study_id={quote(NASTY)}")
    expect(filtered.locator("#list")).to_contain_text("No matching runs")


def test_what_is_copied_names_the_address_that_the_browser_used(
    browser: Browser, served: Serving, trained: Trained
) -> None:
    outside, inside = "https://fit.example.org", served.client.transport.url

    def passed_on(route: Route) -> None:
        """As a proxy that ends TLS does; without tokens, the server would refuse another origin."""
        headers = {name: value for name, value in route.request.headers.items() if name != "origin"}
        route.fulfill(response=route.fetch(url=route.request.url.replace(outside, inside), headers=headers))

    context = browser.new_context(base_url=outside)
    context.route(f"{outside}/**", passed_on)
    page = context.new_page()
    page.goto(f"/runs/{trained.nasty.id}")
    drawn(page, "losses", 3)
    for form, named in (("curl", f"curl -s {outside}/v1/runs "), ("Python", f"fitwell.Client('{outside}')")):
        page.get_by_role("tab", name=form).click()
        expect(page.get_by_role("tabpanel")).to_contain_text(named)
        expect(page.get_by_role("tabpanel")).not_to_contain_text(inside)
    context.unroute_all(behavior="ignoreErrors")  # a picture may still be on its way
    context.close()


def test_a_run_by_keyboard_alone(opened: Opened, trained: Trained) -> None:
    page = opened("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type('name = "overfit digits"')
    page.keyboard.press("Enter")
    expect(page.locator("tr[data-run]")).to_have_count(1)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "row-link":
            break
    page.keyboard.press("Enter")
    drawn(page, "losses", 3)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#losses [data-plot]')"):
            break
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    told = trained.overfit.history["val.loss"][1]
    assert told is not None
    expect(page.locator("#losses [data-reading]")).to_contain_text("epoch 2: train.loss_eval")
    expect(page.locator("#losses [data-reading]")).to_contain_text(f"val.loss {told:.4f}")
    page.keyboard.press("+")
    assert "zoom=" in page.url
    page.keyboard.press("Escape")
    assert "zoom=" not in page.url
    page.get_by_role("tab", name="JSON").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel")).to_contain_text("curl -s")


PAGES: dict[str, Callable[[Trained], str]] = {
    "runs": lambda t: "/",
    "run": lambda t: f"/runs/{t.overfit.id}",
    "study": lambda t: f"/studies/{t.study.id}",
    "studies": lambda t: "/studies",
    "new": lambda t: "/runs/new",
    "missing": lambda t: "/runs/run_nowhere",
}


@pytest.mark.parametrize("name", PAGES)
def test_nothing_keeps_people_out_in_light_or_dark_and_a_phone_has_room(
    opened: Opened, trained: Trained, watched: Watched, name: str
) -> None:
    watched.expected = {404} if name == "missing" else set()
    page = opened(PAGES[name](trained))
    page.wait_for_load_state("networkidle" if name != "runs" else "load")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(50)
        found = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == [], theme
        if theme == "dark" or name != "runs":
            shoot(page, f"{name}-{theme}", whole=name in ("run", "study", "new"))
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, f"{name}-phone", whole=name != "runs")


def test_every_page_forbids_what_is_not_its_own(served: Serving, trained: Trained) -> None:
    for page in PAGES.values():
        answer = httpx2.get(served.client.transport.url + page(trained), headers={"accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        inline = r"<script(?![^>]* src=\"/static/)|<style| style=| on\w+=\""
        assert not re.search(inline, answer.text.replace(NASTY, ""))
        (asset,) = set(re.findall(r"/static/(\w+)/", answer.text))
        script = httpx2.get(f"{served.client.transport.url}/static/{asset}/js/kit/theme.js")
        assert "immutable" in script.headers["cache-control"]
    assert (
        httpx2.get(f"{served.client.transport.url}/static/other/js/kit/theme.js").headers["cache-control"] == "no-cache"
    )
    for path in ("/static/x/../../pages.py", "/static/x/%2e%2e/%2e%2e/pages.py", "/static/x/vendor/README.md"):
        assert httpx2.get(served.client.transport.url + path).status_code == 404


def test_the_api_is_read_and_tried_in_the_browser(opened: Opened, served: Serving) -> None:
    document = httpx2.get(f"{served.client.transport.url}/openapi.json").json()
    calls = {(path, method) for path, methods in document["paths"].items() for method in methods}
    page = opened("/docs")
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".opblock")).to_have_count(len(calls) + len(document["webhooks"]))
    assert page.evaluate("document.documentElement.classList.contains('dark-mode')")
    page.locator("#theme").click()
    assert not page.evaluate("document.documentElement.classList.contains('dark-mode')")
    page.locator(".opblock-summary", has=page.get_by_text("/v1/catalog", exact=True)).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
