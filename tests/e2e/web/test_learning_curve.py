"""A study of sizes, trained and judged: its page, the client and the command line agree."""

from __future__ import annotations

from playwright.sync_api import expect

from tests import warm
from tests.e2e.web.conftest import BASE, Opened, drawn
from tests.patience import scaled
from tests.processes import Serving

SIZES = [40, 80, 160, 320]


def test_page_client_and_command_line_show_the_same_learning_curve(opened: Opened, served: Serving) -> None:
    study = served.client.studies.create(
        base={**BASE, "epochs": 10}, grid={"dataset.train_size": SIZES}, replicates={"n": 3}
    ).wait(scaled(90))
    curves = study.learning_curve(target=0.01)
    (group,) = curves.groups
    rows = [*SIZES, *(one.rows for one in group.predictions)]
    assert curves.columns()["rows"] == rows
    command = ("learning-curve", study.id, "--target", "0.01", "--url", served.client.transport.url)
    printed = warm.fitwell(*command, timeout=scaled(60), check=True)
    assert group.explanation in printed.stdout
    assert all(f"{size} " in printed.stdout for size in rows[:4])
    page = opened(f"/studies/{study.id}?smooth=0.5&zoom=2..4&scale=y")
    drawn(page, "learning-curve", 3 if group.predictions else 1)
    verdict = page.locator("#learning-curve-verdicts .state")
    expect(verdict).to_have_text(group.verdict.replace("_", " "))
    page.locator("#learning-curve summary").click()
    expect(page.locator("#learning-curve [data-table] th[scope=row]").first).to_have_text(str(SIZES[0]))
    page.get_by_label("Metric").select_option("val.accuracy")
    (accuracy,) = study.learning_curve(metric="val.accuracy").groups
    expect(page.locator("#learning-curve-notes")).to_contain_text(accuracy.explanation)
