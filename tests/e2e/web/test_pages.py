"""All pages: text from users, keyboard, accessibility, policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Route, expect

from tests.e2e.web.conftest import NASTY, Opened, Trained, Watched, drawn, shoot
from tests.patience import scaled
from tests.processes import Serving


def test_knn_run_offers_no_pictures_and_no_onnx(opened: Opened, served: Serving) -> None:
    digits = {"kind": "digits", "train_size": 100}
    run = served.client.runs.create(name="neighbours", dataset=digits, model={"kind": "knn"}, epochs=3)
    run.wait(scaled(60))
    page = opened(f"/runs/{run.id}")
    drawn(page, "losses", 4)
    expect(page.get_by_role("heading", name="Confusion matrix")).to_be_visible()
    expect(page.get_by_role("heading", name="Calibration")).to_have_count(0)
    expect(page.locator(".pictures")).to_have_count(0)
    expect(page.locator(".downloads a", has_text=".onnx")).to_have_count(0)


def test_calibration_is_loaded_once_it_is_near(opened: Opened, trained: Trained) -> None:
    page = opened(f"/runs/{trained.overfit.id}")
    with page.expect_response(lambda answer: "/calibration?at=best" in answer.url):
        page.get_by_role("heading", name="Calibration").scroll_into_view_if_needed()
    expect(page.get_by_role("img", name="Reliability diagram")).to_be_visible()
    summary = page.locator("section[aria-labelledby=calibration-title] [data-summary]")
    expect(summary).to_contain_text("a calibrated model would have")
    calibration = trained.overfit.calibration()
    assert page.locator(".reliability circle").count() == sum(one.count > 0 for one in calibration.bins)


def test_user_input_is_displayed_as_text(opened: Opened, trained: Trained) -> None:
    page = opened("/?filter=" + quote("seed = 78"))
    link = page.get_by_role("link", name=NASTY, exact=True)  # its label is a link, too
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NASTY)
    assert page.title() == f"{NASTY} · Fitwell"
    assert page.locator("main script, main img[src=x]").count() == 0
    table = opened(f"/datasets/{trained.table.id}")
    expect(table.get_by_role("rowheader", name=NASTY[:90])).to_be_visible()
    expect(table.get_by_role("row", name="age input number")).to_contain_text("mean")
    expect(table.get_by_role("region", name="Warnings")).to_contain_text("'same' is constant")
    assert table.locator("main script, main img[src=x]").count() == 0
    filtered = opened(f"/?study_id={quote(NASTY)}")
    expect(filtered.locator("#list")).to_contain_text("No matching runs")


def test_copied_commands_use_the_address_in_the_browser(browser: Browser, served: Serving, trained: Trained) -> None:
    outside, inside = "https://fit.example.org", served.client.transport.url

    def forward(route: Route) -> None:
        """Forward like a proxy that terminates TLS; without tokens, the server refuses other origins."""
        headers = {name: value for name, value in route.request.headers.items() if name != "origin"}
        route.fulfill(response=route.fetch(url=route.request.url.replace(outside, inside), headers=headers))

    context = browser.new_context(base_url=outside)
    context.route(f"{outside}/**", forward)
    page = context.new_page()
    page.goto(f"/runs/{trained.nasty.id}")
    drawn(page, "losses", 4)
    for form, named in (("curl", f"curl -s {outside}/v1/runs "), ("Python", f"fitwell.Client('{outside}')")):
        page.get_by_role("tab", name=form).click()
        expect(page.get_by_role("tabpanel")).to_contain_text(named)
        expect(page.get_by_role("tabpanel")).not_to_contain_text(inside)
    context.unroute_all(behavior="ignoreErrors")  # a picture may still be loading
    context.close()


def test_run_can_be_submitted_by_keyboard_alone(opened: Opened, trained: Trained) -> None:
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
    drawn(page, "losses", 4)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#losses [data-plot]')"):
            break
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expected = trained.overfit.history["val.loss"][1]
    assert expected is not None
    expect(page.locator("#losses [data-reading]")).to_contain_text("epoch 2: train.loss_eval")
    expect(page.locator("#losses [data-reading]")).to_contain_text(f"val.loss {expected:.4f}")
    page.keyboard.press("+")
    assert "zoom=" in page.url
    page.keyboard.press("Escape")
    assert "zoom=" not in page.url
    page.get_by_role("tab", name="JSON").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel")).to_contain_text("curl -s")


def test_run_is_renamed_labeled_and_deleted_on_its_page(opened: Opened, served: Serving) -> None:
    digits = {"kind": "digits", "train_size": 100}
    model, optimizer = {"kind": "linear"}, {"kind": "sgd", "lr": 0.1}
    run = served.client.runs.create(dataset=digits, model=model, optimizer=optimizer, epochs=1, seed=991)
    run.wait(scaled(60))
    page = opened(f"/runs/{run.id}")
    page.get_by_role("button", name="Name and labels").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("<first> try")
    page.get_by_role("textbox", name="Labels").fill("course=dl\nweek")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("A label is key=value; “week” has no =.")
    page.get_by_role("textbox", name="Labels").fill("course=dl\nweek=1")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("<first> try")
    changed = run.refresh()
    assert (changed.name, changed.labels) == ("<first> try", {"course": "dl", "week": "1"})
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Cancel").last.click()
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/")
    assert run.id not in [one.id for one in served.client.runs.list(limit=100)]


def test_help_explains_a_term_and_leads_to_the_documentation(opened: Opened, trained: Trained) -> None:
    page = opened(f"/studies/{trained.study.id}")
    page.get_by_role("button", name="Help: verdict").click()
    expect(page.get_by_text("Undecided means that the replicates do not settle the question.")).to_be_visible()
    page.get_by_role("link", name="More about verdict").click()
    page.wait_for_url("**/documentation/concepts#verdict")
    page.get_by_role("searchbox").fill("early stopping patience")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for “early stopping patience”")
    page.locator(".hit a").first.click()
    expect(page.locator("article h1")).to_be_visible()


PAGES: dict[str, Callable[[Trained], str]] = {
    "runs": lambda t: "/",
    "run": lambda t: f"/runs/{t.overfit.id}",
    "study": lambda t: f"/studies/{t.study.id}",
    "studies": lambda t: "/studies",
    "datasets": lambda t: "/datasets",
    "dataset": lambda t: f"/datasets/{t.table.id}",
    "reproductions": lambda t: "/reproductions",
    "reproduction": lambda t: "/reproductions/krogh1991",
    "new study": lambda t: "/studies/new",
    "settings": lambda t: "/settings",
    "queue": lambda t: "/queue",
    "documentation": lambda t: "/documentation/howto/compare",
    "fields": lambda t: "/documentation/reference/spec",
    "search": lambda t: "/documentation?q=early+stopping",
    "new": lambda t: "/runs/new",
    "missing": lambda t: "/runs/run_nowhere",
}


@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_in_both_themes_and_fits_a_phone(
    opened: Opened, trained: Trained, watched: Watched, name: str
) -> None:
    watched.expected = {404} if name == "missing" else set()
    page = opened(PAGES[name](trained))
    page.wait_for_load_state("networkidle" if name != "runs" else "load")
    expect(page.locator("[popover]").filter(visible=True)).to_have_count(0)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(50)
        violations = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in violations] == [], theme
        if theme == "dark" or name != "runs":
            shoot(page, f"{name}-{theme}", whole=name in ("run", "study", "new"))
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, f"{name}-phone", whole=name != "runs")


def test_every_page_restricts_content_to_its_own_origin(served: Serving, trained: Trained) -> None:
    for page in PAGES.values():
        answer = httpx2.get(served.client.transport.url + page(trained), headers={"accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        inline = r"<script(?![^>]* src=\"/static/)|<style| style=| on\w+=\""
        assert not re.search(inline, answer.text.replace(NASTY, "").replace(NASTY[:90], ""))
        (asset,) = set(re.findall(r"/static/(\w+)/", answer.text))
        script = httpx2.get(f"{served.client.transport.url}/static/{asset}/js/kit/theme.js")
        assert "immutable" in script.headers["cache-control"]
    assert (
        httpx2.get(f"{served.client.transport.url}/static/other/js/kit/theme.js").headers["cache-control"] == "no-cache"
    )
    for path in ("/static/x/../../pages.py", "/static/x/%2e%2e/%2e%2e/pages.py", "/static/x/vendor/README.md"):
        assert httpx2.get(served.client.transport.url + path).status_code == 404


def test_api_can_be_read_and_tried_in_the_browser(opened: Opened, served: Serving) -> None:
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
    page.get_by_role("button", name="Execute").click(timeout=scaled(30_000))
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= 390", timeout=scaled(10_000))


def test_list_of_reproductions_displays_their_verdicts(opened: Opened, served: Serving) -> None:
    started = served.client.reproductions.start("prechelt1998")
    row = opened("/reproductions").get_by_role("row", name="prechelt1998")
    expect(row.locator(".verdict-counts")).to_have_text(re.compile(r"\d (pending|reproduced|undecided)"))
    for study in started.studies:
        assert study.study_id is not None
        served.client.studies.get(study.study_id).cancel()
