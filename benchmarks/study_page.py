"""How soon the page of a study has its figures and can be used: a grid of 60 runs, and 12 arms of 32 seeds.

python -m benchmarks.study_page      trains the runs (a minute), measures, and prints a table
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.dashboard import PAINTED
from fitwell.study import Study
from tests.processes import Serving, serving

LOADS = 7
BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 100, "validation_size": 100},
    "model": {"kind": "mlp", "hidden": [8]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 10,
    "batch_size": 20,
}
RATES = [float(f"{10 ** (-3 + 3.3 * i / 19):.3g}") for i in range(20)]
DRAWN = """() => new Promise((done) => {
  const figures = ["#fields [data-strength] svg", "#seeds [data-strip] svg", "#seeds [data-differences] svg"];
  const missing = (name) => document.querySelector(name.split(" ")[0]) && !document.querySelector(name);
  const look = () => {
    if (!document.querySelector("#verdicts table") || figures.some(missing)) return requestAnimationFrame(look);
    requestAnimationFrame(() => done(performance.now()));
  };
  look();
})"""
SORTED = """() => new Promise((done) => {
  const start = performance.now();
  document.querySelector('#verdicts [data-sort="mean"]').click();
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""
LONGEST = """() => new Promise((done) => {
  new PerformanceObserver((list) => done(Math.max(...list.getEntries().map((one) => one.duration))))
    .observe({ type: "longtask", buffered: true });
  setTimeout(() => done(0), 500);
})"""


def studies(served: Serving) -> dict[str, Study]:
    """Return the trained studies by their names in the table."""
    create = served.client.studies.create
    arms: dict[str, Any] = {
        f"dropout {i}/20": {"regularizers_add": [{"kind": "dropout", "p": i / 20}]} for i in range(12)
    }
    both = {
        "grid of 20 rates × 3 seeds": create(base=BASE, grid={"optimizer.lr": RATES}, seeds=3, metric="val.loss"),
        "12 arms × 32 seeds": create(base=BASE, arms=arms, seeds=32, metric="val.loss"),
    }
    return {name: study.wait(1800) for name, study in both.items()}


def loaded(browser: Browser, address: str) -> dict[str, float]:
    """Return the times of one load with an empty cache, in milliseconds from the click on."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.goto(address, wait_until="commit")
        drawn = page.evaluate(DRAWN)
        return {
            "first paint": page.evaluate(PAINTED),
            "all figures drawn": drawn,
            "longest task of the page's script": page.evaluate(LONGEST),
            "table sorted, since the click on a heading": page.evaluate(SORTED),
        }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "home") as served:
        trained = studies(served)
        print("| study | what | median | |\n|---|---|---|---|")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for name, study in trained.items():
                loads = [loaded(browser, f"{served.client.transport.url}/studies/{study.id}") for _ in range(LOADS)]
                for what in loads[0]:
                    values = [load[what] for load in loads]
                    spread = f"{min(values):.0f} to {max(values):.0f} ms"
                    print(f"| {name} | {what} | {statistics.median(values):.0f} ms | {spread} |")
            browser.close()
        print(f"\nLoad average: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors.")


if __name__ == "__main__":
    main()
