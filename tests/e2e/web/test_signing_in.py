"""Signing in with a browser when tokens are required, and the limits of that session."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import expect

import fitwell
from tests.e2e.web.conftest import BASE, Opened, Watched
from tests.processes import Serving, serving

SECRET = re.compile(r"fw_[A-Za-z0-9_-]{43}")
COOKIE = "fitwell_token"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Where a token is needed; ``client`` has none."""
    home = tmp_path_factory.mktemp("signing") / "home"
    with serving(home, workers=0, FITWELL_AUTH="required", FITWELL_WEBHOOK_ALLOW_PRIVATE="true") as one:
        yield one


@pytest.fixture(scope="module")
def admin(served: Serving) -> Iterator[fitwell.Client]:
    (secret,) = SECRET.findall(served.output())
    with fitwell.Client(served.client.transport.url, secret) as client:
        yield client


def token_of(admin: fitwell.Client, owner: str, scope: str = "write") -> str:
    return str(admin.tokens.create(owner=owner, name="browser", scopes=[scope]).token)


def test_api_page_uses_the_signed_in_user(opened: Opened, admin: fitwell.Client, watched: Watched) -> None:
    watched.expected = {403}
    page = opened("/docs")
    expect(page).to_have_url(re.compile("/sign-in"))
    page.get_by_label("Token").fill(token_of(admin, "reader", "read"))
    page.keyboard.press("Enter")
    for operation, status in (("runs-list_runs", "200"), ("runs-create_run", "403")):
        call = page.locator(f"#operations-{operation}")
        call.locator(".opblock-summary-control").click()
        call.get_by_role("button", name="Try it out").click()
        call.get_by_role("button", name="Execute").click()
        expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text(status)


def test_signing_in_with_a_token_leads_to_the_requested_page(
    opened: Opened, admin: fitwell.Client, watched: Watched
) -> None:
    watched.expected = {401}
    run = admin.runs.create(name="behind the door", **BASE)
    page = opened(f"/runs/{run.id}?scale=y")
    expect(page).to_have_url(re.compile("/sign-in"))
    assert page.get_by_text("behind the door").count() == 0
    page.get_by_label("Token").fill("fw_" + "x" * 43)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Unknown token")
    page.get_by_label("Token").fill(token_of(admin, "local"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="behind the door")).to_be_visible()
    assert page.url.endswith(f"/runs/{run.id}?scale=y")
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (COOKIE, True, "Strict")
    assert page.evaluate("document.cookie + JSON.stringify(localStorage)").count("fw_") == 0
    expect(page.locator(".live-text")).to_have_text("live")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#head .state")).to_have_text("cancelled")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in"))
    assert page.context.cookies() == []


def test_read_only_users_get_no_buttons(
    opened: Opened, admin: fitwell.Client, served: Serving, watched: Watched
) -> None:
    watched.expected = {401}  # what the page asks for while its reader signs out
    run = admin.runs.create(**{**BASE, "seed": 1})
    page = opened("/sign-in?next=/runs/" + run.id)
    page.get_by_label("Token").fill(token_of(admin, "reader", "read"))
    page.keyboard.press("Enter")
    expect(page.locator("#head .state")).to_have_text("queued")
    for name in ("Cancel", "Edit and rerun", "New run"):
        assert page.get_by_text(name, exact=True).count() == 0
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))


def test_revoked_token_leads_to_sign_in_and_its_cookie_is_deleted(
    opened: Opened, admin: fitwell.Client, watched: Watched
) -> None:
    watched.expected = {401}  # what the open page asks for meanwhile
    token = admin.tokens.create(owner="zoe", name="browser")
    page = opened("/sign-in")
    page.get_by_label("Token").fill(str(token.token))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    admin.tokens.revoke(token.id)
    page.goto("/studies")
    expect(page).to_have_url(re.compile("/sign-in"))
    assert page.context.cookies() == []


def test_link_on_another_site_leads_signed_in_users_to_the_page_and_others_to_sign_in(
    opened: Opened, admin: fitwell.Client, served: Serving
) -> None:
    run = admin.runs.create(name="linked to", **{**BASE, "seed": 3})
    link = f'<a href="{served.client.transport.url}/runs/{run.id}">go</a>'
    for signed_in in (True, False):
        page = opened("/sign-in")
        if signed_in:
            page.get_by_label("Token").fill(token_of(admin, "ann"))
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        elsewhere = page.context.new_page()
        elsewhere.route("http://elsewhere.example/", lambda route: route.fulfill(content_type="text/html", body=link))
        elsewhere.goto("http://elsewhere.example/")
        elsewhere.get_by_role("link").click()
        heading = "linked to" if signed_in else "Sign in"
        expect(elsewhere.get_by_role("heading", name=heading)).to_be_visible()
        elsewhere.close()


def test_cookie_authorizes_changes_only_from_pages_of_this_server(admin: fitwell.Client, served: Serving) -> None:
    url, cookies = served.client.transport.url, {COOKIE: token_of(admin, "ann")}
    body = {**BASE, "seed": 2}
    assert httpx2.get(f"{url}/v1/runs", cookies=cookies).status_code == 200
    for headers in (
        {},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": url.replace("127.0.0.1", "localhost")},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": url, "sec-fetch-site": "cross-site"},
    ):
        answer = httpx2.post(f"{url}/v1/runs", json=body, cookies=cookies, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site"), headers
    for headers in ({"origin": url}, {"sec-fetch-site": "same-origin"}):
        assert httpx2.post(f"{url}/v1/runs", json=body, cookies=cookies, headers=headers).status_code == 201
    headed = {"authorization": f"Bearer {cookies[COOKIE]}"}
    assert httpx2.post(f"{url}/v1/runs", json=body, headers=headed).status_code == 201
    wrong = {"authorization": "Bearer fw_no"}
    assert httpx2.get(f"{url}/v1/runs", cookies=cookies, headers=wrong).status_code == 401, "the header counts"


def test_cookie_over_tls_is_bound_to_the_host(admin: fitwell.Client, served: Serving) -> None:
    secret = token_of(admin, "ann")
    headers = {"authorization": f"Bearer {secret}", "origin": "https://fit.example", "host": "fit.example"}
    answer = httpx2.post(f"{served.client.transport.url}/session", headers=headers)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"__Host-{COOKIE}={secret};")
    for part in ("HttpOnly", "Path=/", "SameSite=strict", "Secure"):
        assert part in cookie
    assert "Domain" not in cookie
    response = httpx2.get(f"{served.client.transport.url}/v1/runs", headers={"cookie": f"__Host-{COOKIE}={secret}"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "\\/evil", "/\tx", "x"]
)
def test_sign_in_never_redirects_to_another_site(served: Serving, target: str) -> None:
    page = httpx2.get(f"{served.client.transport.url}/sign-in", params={"next": target})
    assert 'data-next="/"' in page.text


def test_without_a_token_only_static_files_and_sign_in_are_served(served: Serving) -> None:
    url, page = served.client.transport.url, {"accept": "text/html"}
    for path in ("/", "/runs/new", "/studies", "/runs/run_1", "/nowhere", "/runs/run_1/report"):
        answer = httpx2.get(url + path, headers=page, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in"), path
        assert httpx2.get(url + path).status_code == 401
    followed = httpx2.get(f"{url}/", headers={**page, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
    assert 'http-equiv="refresh"' in followed.text  # a strict cookie does not come with a link from elsewhere
    part = httpx2.get(f"{url}/", headers={**page, "hx-request": "true"})
    assert (part.status_code, part.headers["hx-refresh"]) == (401, "true")
    assert httpx2.post(f"{url}/session").status_code == 401
    assert httpx2.get(f"{url}/static//v1/runs").status_code == 404


def test_invalid_cookie_sent_too_often_still_leads_to_sign_in(served: Serving, admin: fitwell.Client) -> None:
    url, cookies = served.client.transport.url, {COOKIE: "fw_" + "y" * 43}
    statuses = {httpx2.get(f"{url}/v1/runs", cookies=cookies).status_code for _ in range(35)}
    assert statuses == {401, 429}
    answer = httpx2.get(f"{url}/", headers={"accept": "text/html"}, cookies=cookies)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2F")
    assert answer.headers["set-cookie"].count("Max-Age=0") == 2
    right = {"authorization": f"Bearer {token_of(admin, 'ann')}", "origin": url}
    assert httpx2.post(f"{url}/session", headers=right).status_code == 204


def test_tokens_and_webhooks_are_managed_in_the_browser(
    opened: Opened, served: Serving, admin: fitwell.Client, watched: Watched
) -> None:
    watched.expected = {401, 422}
    page = opened("/settings")
    page.get_by_label("Token").fill(SECRET.findall(served.output())[0])
    page.keyboard.press("Enter")
    form = page.get_by_role("form", name="Create a token")
    form.get_by_label("Name").fill("<laptop>")
    form.get_by_label("Owner").fill("alice")
    form.get_by_label("Scope").select_option("write")
    form.get_by_role("button", name="Create token").click()
    secret = form.get_by_role("status").locator("code").inner_text()
    with fitwell.Client(served.client.transport.url, secret) as alice:
        assert list(alice.runs.list()) is not None
        page.reload()
        row = page.get_by_role("row", name="<laptop>")
        expect(row).to_contain_text("alice")
        row.get_by_role("button", name="Revoke").click()
        with page.expect_navigation():
            page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("row", name="<laptop>")).to_have_count(0)
        # Other tests of this module have sent invalid tokens from the same address, which limits their rate.
        with pytest.raises((fitwell.NotAuthenticated, fitwell.errors.TooManyAttempts)):
            list(alice.runs.list())
    hook = page.get_by_role("form", name="Create a webhook")
    hook.get_by_label("Address").fill("ftp://127.0.0.1/hook")
    hook.get_by_role("button", name="Create webhook").click()
    expect(hook.locator("[role=alert]")).to_contain_text("https")
    hook.get_by_label("Address").fill("http://127.0.0.1:9/hook")
    hook.get_by_role("button", name="Create webhook").click()
    expect(hook.get_by_role("status")).to_contain_text("whsec_")
    (endpoint,) = admin.webhooks.list()
    page.reload()
    row = page.get_by_role("row", name=endpoint.url)
    row.get_by_role("button", name="Send a test").click()
    expect(row.get_by_role("button").first).to_contain_text("Failed: ")  # nothing listens on the port
    row.get_by_role("button", name="Delete").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Confirm").click()
    assert list(admin.webhooks.list()) == []
