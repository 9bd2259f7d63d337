"""The form of a new run: live validation, submission and errors at their fields."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from playwright.sync_api import expect

from service.web.documentation.markdown import document
from tests.e2e.web.conftest import BASE, Opened, Watched, shoot
from tests.patience import eventually, scaled
from tests.processes import Serving


def test_submitted_run_updates_live_until_it_is_diagnosed_as_overfit(opened: Opened, served: Serving) -> None:
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
    epochs_seen = set[str]()

    def growing() -> bool:
        epochs_seen.add(epochs.inner_text())
        return len(epochs_seen) > 2

    eventually(growing, 30)
    expect(page.locator("#head .state")).to_have_text("succeeded", timeout=scaled(60_000))
    expect(page.locator(".verdict")).to_contain_text("overfits")
    expect(page.locator(".verdict")).to_contain_text("To try next")
    page.locator("#losses summary").click()
    expect(page.locator("#losses tbody tr")).to_have_count(300)
    expect(page.locator(".histogram svg")).to_have_count(6)
    run = served.client.runs.get(page.url.rpartition("/")[2].partition("?")[0])
    assert (run.name, run.spec["model"]["hidden"], run.progress.epoch) == ("made in the form", [128, 128], 300)


def test_whole_study_of_a_preset_is_submitted_from_the_form(opened: Opened, served: Serving) -> None:
    page = opened("/runs/new")
    section = page.locator("#preset-study")
    expect(page.locator("#cost")).to_contain_text("Parameters")
    expect(section).to_be_hidden()
    page.get_by_label("Start from").select_option("learning_rates/lr 0.1")
    expect(page.get_by_label("lr", exact=True)).to_have_value("0.1")
    expect(section).to_contain_text("How fast does the loss fall")
    expect(section.locator("#study-cost")).to_contain_text("32")  # four arms with eight seeds
    section.get_by_role("button", name="Train the study").click()
    page.wait_for_url(re.compile(r"/studies/study_"))
    study = served.client.studies.get(page.url.rpartition("/")[2].partition("?")[0])
    assert [arm.id for arm in study.arms] == ["lr 0.001", "lr 0.01", "lr 0.1", "lr 1.0"]
    assert (study.progress.runs, study.metric, study.at) == (32, "train.loss", "epoch:50")
    study.cancel()


def test_sections_of_the_form_link_to_the_documentation_of_their_fields(opened: Opened) -> None:
    page = opened("/runs/new")
    help_links = page.locator("#fields a.help")
    expect(help_links.first).to_be_visible()
    targets = {str(link.get_attribute("href")).partition("#")[2] for link in help_links.all()}
    assert {"run-dataset", "run-model", "run-regularizers", "run-optimizer"} <= targets
    assert targets <= {section.anchor for section in document("reference/spec.md").sections}


def test_missing_data_of_a_preset_are_reported_before_its_study_is_submitted(opened: Opened, watched: Watched) -> None:
    watched.expected = {422}
    page = opened("/runs/new?preset=resnet20/resnet-20")
    expect(page.locator("#study-problem")).to_contain_text("cifar10")
    expect(page.get_by_role("button", name="Train the study")).to_be_disabled()


def test_error_of_the_server_is_displayed_at_its_field(opened: Opened, watched: Watched) -> None:
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


def test_layers_are_added_moved_and_removed(opened: Opened, watched: Watched) -> None:
    watched.expected = {422}
    page = opened("/runs/new?spec=" + quote(json.dumps({**BASE, "model": {"kind": "sequential", "layers": []}})))
    adder = page.locator('[data-pointer="/model/layers"] > .adder')
    for kind in ("max_pool", "residual", "flatten"):
        adder.select_option(kind)
    expect(page.locator("#layers tbody th").nth(1)).to_have_text("residual")
    page.get_by_role("button", name="Move flatten up").press("Enter")
    expect(page.locator('[data-error="/model/layers/2/layers/0"]')).to_contain_text("images")
    expect(page.locator('[id="move/model/layers/1"]')).to_be_focused()
    page.get_by_role("button", name="Remove flatten").click()
    expect(page.locator("#layers tbody tr")).to_have_count(4)  # the output layer needs vectors
    kinds = [one["kind"] for one in json.loads(page.locator("#json").input_value())["model"]["layers"]]
    assert kinds == ["max_pool", "residual"]


def test_weights_begin_normal_with_a_standard_deviation(opened: Opened, watched: Watched) -> None:
    watched.expected = {422}
    page = opened("/runs/new?spec=" + quote(json.dumps(BASE)))
    std = page.locator('[id="field/model/init/std"]')
    page.get_by_label("init", exact=True).select_option("normal")
    expect(std).to_have_value("0.01")
    std.fill("0")
    expect(page.locator('[data-error="/model/init/std"]')).to_contain_text("greater than 0")
    std.fill("0.05")
    expect(page.locator("#cost")).to_contain_text("Parameters")
    again = opened(page.url)
    expect(again.locator('[id="field/model/init/std"]')).to_have_value("0.05")
    again.get_by_label("init", exact=True).select_option("he_normal")
    expect(again.locator('[id="field/model/init/std"]')).to_have_count(0)
    assert json.loads(again.locator("#json").input_value())["model"]["init"] == "he_normal"
    again.get_by_label("init", exact=True).select_option("torch")
    assert "init" not in json.loads(again.locator("#json").input_value())["model"]


SHAPELESS: tuple[Any, ...] = (
    {"regularizers": 5},
    {"regularizers": [None]},
    {"stop": "soon"},
    {"model": {"kind": "constructor"}},
)


def test_spec_of_any_shape_does_not_break_the_form(opened: Opened, watched: Watched) -> None:
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
