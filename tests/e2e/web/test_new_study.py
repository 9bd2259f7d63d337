"""A study is composed, previewed and started in the browser."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from playwright.sync_api import expect

from tests.e2e.web.conftest import Opened, Trained, Watched
from tests.processes import Serving


def test_study_is_composed_and_started(opened: Opened, served: Serving, watched: Watched) -> None:
    watched.expected = {422}
    page = opened("/studies/new")
    cost = page.get_by_role("region", name="Size and cost")
    expect(cost).to_contain_text("16")
    expect(page.locator(".arm")).to_have_count(2)
    page.get_by_label("Name", exact=True).fill("<composed>")
    page.get_by_label("Add").select_option("regularizers/l2")
    expect(page.locator(".arm")).to_have_count(3)
    page.get_by_label("Name of the arm").last.fill("decay")
    page.get_by_label("Name of the arm").last.press("Tab")
    page.get_by_label("Changes of decay").fill('{"regularizers_add": [{"kind": "l2", "lambda": 0.01}]}')
    expect(page.locator(".arm").last.locator("[role=alert]")).to_contain_text("lambda")
    page.get_by_label("Changes of decay").fill('{"regularizers_add": [{"kind": "l2", "strength": 0.01}]}')
    expect(page.locator(".arm").last.locator("[role=alert]")).to_be_empty()
    page.locator(".arm").last.get_by_role("button", name="Copy").click()
    expect(page.locator(".arm")).to_have_count(4)
    page.locator(".arm").last.get_by_role("button", name="Remove").click()
    page.get_by_label("Repeat every arm").select_option("seeds")
    page.get_by_label("Replicates, at most").fill("2")
    expect(cost.get_by_role("listitem").first).to_contain_text("No difference can be significant")
    page.get_by_label("Epoch").select_option("last")
    body = json.loads(page.get_by_label("Study as JSON").input_value())
    assert body["seeds"] == 2
    assert list(body["arms"]) == ["plain", "dropout", "decay"]
    body["base"] |= {"epochs": 2, "model": {"kind": "mlp", "hidden": [4]}}
    page.get_by_label("Study as JSON").fill(json.dumps(body))
    expect(page.get_by_label("Spec that all arms share")).to_have_value(json.dumps(body["base"], indent=2))
    page.reload()
    expect(page.get_by_label("Name", exact=True)).to_have_value("<composed>")
    page.get_by_role("button", name="Train the study").click()
    page.wait_for_url("**/studies/study_*")
    study = served.client.studies.get(page.url.rpartition("/")[2])
    assert (study.name, len(study.arms), len(study.seeds)) == ("<composed>", 3, 2)


def test_study_starts_from_a_run_and_from_a_preset(opened: Opened, trained: Trained) -> None:
    page = opened(f"/runs/{trained.overfit.id}")
    page.get_by_role("link", name="Compare with …").click()
    page.wait_for_url("**/studies/new?from=*")
    expect(page.get_by_label("Spec that all arms share")).to_have_value(re.compile("digits"))
    page.get_by_label("Start from").select_option("dropout")
    expect(page.get_by_label("Study as JSON")).not_to_have_value("")
    expect(page.get_by_role("region", name="Size and cost")).to_contain_text("Fewest seeds that can decide")


def test_arms_that_are_numbers_keep_their_order(opened: Opened, served: Serving, watched: Watched) -> None:
    watched.expected = {422}  # while two arms are equal
    model, optimizer = {"kind": "linear"}, {"kind": "sgd", "lr": 0.1}
    base = {"dataset": {"kind": "digits", "train_size": 100}, "model": model, "optimizer": optimizer, "epochs": 1}
    arms = '{"20": {"epochs": 2}, "plain": {"dataset": {"7": null}}, "3": {}}'
    page = opened("/studies/new?study=" + quote(f'{{"base": {json.dumps(base)}, "arms": {arms}, "seeds": 1}}'))
    names = page.get_by_label("Name of the arm")
    expect(names).to_have_count(3)
    assert [one.input_value() for one in names.all()] == ["20", "plain", "3"]
    page.locator(".arm").first.get_by_role("button", name="Copy").click()
    expect(names).to_have_count(4)
    names.nth(1).fill("10")
    names.nth(1).press("Tab")
    page.get_by_label("Changes of 10").fill('{"epochs": 4}')
    page.get_by_label("Changes of plain").fill('{"epochs": 3}')
    page.reload()
    expect(names).to_have_count(4)
    page.get_by_role("button", name="Train the study").click()
    page.wait_for_url("**/studies/study_*")
    study = served.client.studies.get(page.url.rpartition("/")[2])
    assert [arm.id for arm in study.arms] == ["20", "10", "plain", "3"]
    assert study.baseline == "20"


def test_tuned_comparison_is_composed_from_the_same_arms(opened: Opened, watched: Watched) -> None:
    watched.expected = {422}
    page = opened("/studies/new")
    expect(page.locator(".arm")).to_have_count(2)
    page.get_by_label("Repeat every arm").select_option("tune")
    expect(page.get_by_label("Metric")).to_be_hidden()
    page.get_by_label("Trials of every arm").fill("4")
    page.get_by_label("Space").fill('{"optimizer.lr": {"distribution": "log_uniform", "low": 0.01}}')
    expect(page.locator("[data-error='/tune/space']")).to_contain_text("high")
    page.get_by_label("Space").fill('{"optimizer.lr": {"distribution": "log_uniform", "low": 0.01, "high": 1}}')
    expect(page.locator("[data-error='/tune/space']")).to_be_empty()
    page.get_by_label("Changes of plain").fill('{"optimizer": {"lrr": 1}}')
    expect(page.locator(".arm").first.locator("[role=alert]")).to_contain_text("lrr")
    page.get_by_label("Changes of plain").fill("{}")
    expect(page.get_by_role("region", name="Size and cost")).to_contain_text("Runs96")
    body = json.loads(page.get_by_label("Study as JSON").input_value())
    assert (body["tune"]["budget"], list(body["tune"]["arms"])) == (4, ["plain", "dropout"])
    assert not {"arms", "seeds", "replicates", "metric"} & body.keys()
    page.get_by_label("Repeat every arm").select_option("seeds")
    body = json.loads(page.get_by_label("Study as JSON").input_value())
    assert (body["seeds"], list(body["arms"]), "tune" in body) == (8, ["plain", "dropout"], False)
