"""How fast the dashboard draws a hundred curves of a thousand points, and lists ten thousand runs, in a real browser.

python -m benchmarks.dashboard      trains the runs (minutes), measures, and prints a table
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.processes import Serving, serving

BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 60, "validation_size": 60},
    "model": {"kind": "mlp", "hidden": [8]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 1000,
    "batch_size": "full",
    "evaluate": {"test": "never"},
}
RATES = [round(0.02 * 1.2**i, 4) for i in range(25)]
LOADS, MOVES = 7, 120
LISTS = {
    "10,000 runs, newest first, first paint": "/",
    "10,000 runs, by best loss, first paint": "/?sort=best.value",
    "10,000 runs, filtered by a place in the spec, first paint": "/?filter=spec.optimizer.lr+%3E+0.5",
}
DRAWN = """() => new Promise((done) => {
  const look = () => {
    if (document.querySelector('#curves [data-plot]')?.dataset.drawn !== '100') return requestAnimationFrame(look);
    requestAnimationFrame(() => done(performance.now()));
  };
  look();
})"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
ANSWERED = """() => performance.getEntriesByType('resource').filter((r) => r.name.includes('/compare'))
  .map((r) => r.responseEnd - r.startTime).reduce((a, b) => Math.max(a, b), 0)"""
FRAMES = """() => { window.frames_ = []; let last = performance.now();
  const next = (now) => { window.frames_.push(now - last); last = now; window.raf_ = requestAnimationFrame(next); };
  window.raf_ = requestAnimationFrame(next); }"""
MEASURED = "() => { cancelAnimationFrame(window.raf_); return window.frames_.slice(2); }"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "home") as served:
        client = served.client
        print("| what | median | |\n|---|---|---|")
        study = client.studies.create(name="hundred", base=BASE, grid={"optimizer.lr": RATES}, seeds=4).wait(1800)
        address = f"{client.transport.url}/studies/{study.id}?view=runs&scale=y"
        with sync_playwright() as playwright:
            path = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            loads = [loaded(browser, address) for _ in range(LOADS)]
            frames = moved(browser, address)
            many(served)
            lists = {
                name: [listed(browser, client.transport.url + path) for _ in range(LOADS)]
                for name, path in LISTS.items()
            }
            browser.close()
    for name in ("first paint", "comparison answered", "curves drawn"):
        values = [load[name] for load in loads]
        print(f"| {name} | {statistics.median(values):.0f} ms | {min(values):.0f} to {max(values):.0f} ms |")
    for name, times in lists.items():
        print(f"| {name} | {statistics.median(times):.0f} ms | {min(times):.0f} to {max(times):.0f} ms |")
    for name, measured in frames.items():
        ordered = sorted(measured)
        high = ordered[int(len(ordered) * 0.95)]
        print(f"| a frame while {name} | {statistics.median(ordered):.0f} ms | 95 %: {high:.0f} ms |")


def many(served: Serving) -> None:
    """Ten thousand runs: equal to one that has been trained, so that none of them is."""
    spec = {**BASE, "epochs": 20}
    served.client.runs.create(**spec).wait(120)
    for _ in range(20):
        answer = served.client.transport.request("POST", "/v1/runs/bulk", json={"runs": [spec] * 500})
        assert answer.status_code == 201, answer.text


def listed(browser: Browser, address: str) -> float:
    """The first paint of a list, from the click on."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
        return float(page.evaluate(PAINTED))


def loaded(browser: Browser, address: str) -> dict[str, float]:
    """The times of one load with an empty cache, from the click on."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.goto(address, wait_until="commit")
        drawn = page.evaluate(DRAWN)
        return {
            "first paint": page.evaluate(PAINTED),
            "comparison answered": page.evaluate(ANSWERED),
            "curves drawn": drawn,
        }


def moved(browser: Browser, address: str) -> dict[str, list[float]]:
    """Frames while the pointer goes over the curves, and while they are zoomed."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.goto(address)
        page.evaluate(DRAWN)
        box = page.locator("#curves .u-over").bounding_box()
        assert box is not None
        return {"hovering": hovering(page, box), "zooming": zooming(page)}


def hovering(page: Page, box: Any) -> list[float]:
    page.evaluate(FRAMES)
    for i in range(MOVES):
        page.mouse.move(
            box["x"] + box["width"] * (0.1 + 0.8 * i / MOVES), box["y"] + box["height"] * (0.3 + 0.4 * (i % 7) / 7)
        )
    return list(page.evaluate(MEASURED))


def zooming(page: Page) -> list[float]:
    page.locator("#curves [data-plot]").focus()
    page.evaluate(FRAMES)
    for key in ("+", "+", "+", "-", "-", "-") * 5:
        page.keyboard.press(key)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    return list(page.evaluate(MEASURED))


if __name__ == "__main__":
    main()
