"""Claims on bias and variance, judged from predictions of nearest neighbors: right ones and false ones."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from service.bias_variance import service as bias_variance
from service.reproductions import published
from service.reproductions import service as reproductions
from service.reproductions.parts import PartOrder
from service.reproductions.rule import Rule
from tests.conftest import WORKER
from tests.service.bias_variance.test_study_bias_variance import finish
from tests.service.models.conftest import service as service  # noqa: PLC0414 - a fixture
from tests.service.models.serving import Service
from tests.service.reproductions.planted import NAME, PLANTED, claim

PATH = f"/v1/reproductions/{NAME}"
STUDY: dict[str, Any] = {
    "base": {
        "dataset": {"kind": "digits", "train_size": 90, "validation_size": 0, "label_noise": 0.2},
        "model": {"kind": "knn"},
        "epochs": 1,
    },
    "arms": {f"k = {k}": {"epochs": k} for k in (1, 9, 60)},
    "replicates": {"n": 8, "vary": ["seed", "split"]},
    "metric": "test.loss",
    "at": "last",
}
RULES: dict[str, Rule] = {
    "falls": PartOrder(study="one", part="variance", arms=("k = 60", "k = 9", "k = 1")),
    "rises": PartOrder(study="one", part="variance", arms=("k = 1", "k = 9", "k = 60")),
    "bias": PartOrder(study="one", part="bias", arms=("k = 9", "k = 60")),
    "divergence": PartOrder(study="one", part="variance", loss="cross_entropy", arms=("k = 60", "k = 1")),
    "no such loss": PartOrder(study="one", part="bias", loss="squared_error", arms=("k = 9", "k = 60")),
}


@pytest.mark.slow
def test_parts_of_arms_are_compared_by_pseudo_values(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = {name: claim(rule) for name, rule in RULES.items()}
    studies = {scale: {"one": STUDY} for scale in ("quick", "full")}
    definition = PLANTED.model_copy(update={"claims": claims, "studies": studies})
    for module in (published, reproductions):
        monkeypatch.setattr(module, "reproductions", lambda: {NAME: definition})
    client = service.client
    started = client.post(PATH, json={})
    assert started.status_code == 201, started.text
    while claimed := service.work.claim(WORKER, limit=100):
        service.work.started(claimed, device="cpu", determinism_class="test", baselines={})
        for one in claimed:
            finish(service, one)

    with monkeypatch.context() as hurried:
        hurried.setattr(bias_variance, "SECONDS", 1e-9)
        early = client.get(PATH).json()
    assert (early["status"], early["terminal"], set(early["verdicts"])) == ("running", False, {"pending"})
    assert "runs are still to be computed" in early["claims"][0]["result"]["explanation"]

    view = client.get(PATH).json()
    assert (view["status"], view["terminal"]) == ("finished", True)
    results = {one["name"]: one["result"] for one in view["claims"]}
    assert {name: result["verdict"] for name, result in results.items()} == {
        "falls": "reproduced", "rises": "not_reproduced", "bias": "reproduced", "divergence": "reproduced",
        "no such loss": "undecided",
    }  # fmt: skip
    assert (results["bias"]["metric"], results["bias"]["at"]) == ("squared bias of test.brier", "last")
    decomposed = client.get(f"/v1/studies/{results['bias']['study_id']}/bias-variance").json()
    parts = {arm["arm"]: arm["losses"]["brier"]["bias"] for arm in decomposed["arms"]}
    (figure,) = results["bias"]["figures"]
    assert figure["mean"] == pytest.approx(parts["k = 9"] - parts["k = 60"])
    assert (figure["n"], figure["p_adjusted"]) == (8, 2 / 2**8)
    assert client.get(f"{PATH}/report").status_code == 200


@pytest.mark.parametrize("changed", [{"metric": "test.loss"}, {"at": "epoch:3"}, {"arms": ("a", "a")}])
def test_rule_without_a_meaning_is_refused(changed: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"study": "one", "part": "bias", "arms": ("a", "b"), **changed}
    with pytest.raises(ValidationError):
        PartOrder(**fields)
