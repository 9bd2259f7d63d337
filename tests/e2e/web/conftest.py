"""A real browser on a real server. Every page that a test opens is watched: a violation of the policy, an error in the
console or a request to elsewhere fails the test."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from fitwell.datasets import Dataset
from fitwell.run import Run
from fitwell.study import Study
from tests.patience import scaled
from tests.processes import Serving, serving

CHROMIUM = shutil.which("chromium") or ""
REASON = "no chromium: apt-get install --no-install-recommends chromium"
SCREENSHOTS = ("runs", "run", "study", "new")
SHOTS = Path(__file__).parents[3] / "docs/screenshots"
BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [64, 64]},
    "optimizer": {"kind": "momentum", "lr": 0.05},
    "epochs": 60,
    "batch_size": 20,
}
NASTY = "<script>document.title='pwned'</script><img src=x onerror=alert(1)>\"'"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            if not CHROMIUM:
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's browser. It ends with these tests: its event loop would be in the way of others in the same process."""
    with sync_playwright() as playwright:
        # CI runs as root, where chromium has no sandbox.
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@dataclass
class Watched:
    """Errors in the pages of one browser context; ``expected`` are statuses that a test provokes."""

    origin: str
    wrong: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: self.hear(message.type, message.text))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", lambda request: self.see(request.url))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))

    def hear(self, kind: str, text: str) -> None:
        if any(f"the server responded with a status of {status}" in text for status in self.expected):
            return
        if kind in ("error", "warning"):
            self.wrong.append(f"{kind}: {text}")

    def see(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("data", "blob") and f"{address.scheme}://{address.netloc}" != self.origin:
            self.wrong.append(f"a request to {url}")


Opened = Callable[..., Page]


@pytest.fixture
def watched(served: Serving) -> Iterator[Watched]:
    one = Watched(served.client.transport.url)
    yield one
    assert one.wrong == []


@pytest.fixture
def opened(browser: Browser, watched: Watched) -> Iterator[Opened]:
    """Return a function that opens a page in a new browser context."""
    contexts: list[BrowserContext] = []

    def open_page(path: str, **options: Any) -> Page:
        options = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **options}
        contexts.append(browser.new_context(base_url=watched.origin, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(scaled(30_000))
        expect.set_options(timeout=scaled(20_000))
        watched.watch(page)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


@dataclass
class Trained:
    """Runs and a study that finish before the tests open a page, and a table."""

    study: Study
    overfit: Run
    nasty: Run
    diverged: Run
    table: Dataset


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("web") / "home") as one:
        yield one


@pytest.fixture(scope="package")
def trained(served: Serving, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    client = served.client
    dropout = {"kind": "dropout", "p": 0.5}
    arms: dict[str, Any] = {
        "plain": {},
        "dropout": {"regularizers_add": [dropout]},
        "dropout + l2": {"regularizers_add": [dropout, {"kind": "l2", "strength": 0.01}]},
        "hobbled": {"optimizer": {"lr": 0.0005}},
    }
    study = client.studies.create(name="Does dropout help?", base=BASE, arms=arms, seeds=8, at="last")
    overfit = client.runs.create(name="overfit digits", labels={"list": "short"}, **{**BASE, "seed": 77})
    nasty = client.runs.create(name=NASTY, labels={"<b>": NASTY}, **{**BASE, "epochs": 2, "seed": 78})
    rash = {**BASE, "optimizer": {"kind": "sgd", "lr": 1e6}, "epochs": 3}
    diverged = client.runs.create(name="too fast", labels={"list": "short"}, **rash)
    rows = [[i, "" if i % 5 else i / 7, NASTY if i % 2 else "b", "constant", i * i] for i in range(40)]
    file = tmp_path_factory.mktemp("table") / "rows.csv"
    with file.open("w", newline="") as text:
        csv.writer(text).writerows([["id", "age", NASTY[:90], "same", "y"], *rows])
    table = client.datasets.upload(file, name=NASTY)
    study.wait(scaled(120))
    ended = overfit.wait(scaled(60)), nasty.wait(scaled(60)), diverged.wait(scaled(60), check=False)
    return Trained(study, *ended, table)


def shoot(page: Page, name: str, *, whole: bool = False) -> None:
    """Save a screenshot for the documentation if FITWELL_SCREENSHOTS is set."""
    if os.environ.get("FITWELL_SCREENSHOTS") and name.partition("-")[0] in SCREENSHOTS:
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=whole)


def drawn(page: Page, chart: str, lines: int) -> None:
    """Wait until a chart has this number of lines, and check that its canvas is not blank."""
    expect(page.locator(f"#{chart} [data-plot]")).to_have_attribute("data-drawn", str(lines))
    painted = (
        "([id]) => { const c = document.querySelector(`#${id} canvas`);"
        "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v) }"
    )
    assert page.evaluate(painted, [chart])
