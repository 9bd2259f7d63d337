"""Rules on epochs and on splits, judged from recorded runs: right claims, false ones, and runs that never get there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.reproductions import published, service
from service.reproductions.crossings import Delay, Sooner
from service.reproductions.rule import Rule
from service.reproductions.splits import Factor, Flips, LargerShare
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from tests.service.reproductions.planted import NAME, PLANTED, body, claim
from tests.service.studies.training import SUCCEEDED, train
from worker.ports import Outcome

PATH = f"/v1/reproductions/{NAME}"
ARMS: dict[str, Any] = {"study": "one", "arm": "dropout", "against": "plain"}
FACTORS: tuple[Factor, ...] = get_args(Factor)
Value = Callable[[str, int, int], float]


def results(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, rules: dict[str, Rule], train_all: Callable[[], None],
    **changed: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a reproduction with these rules, and return the results of its claims."""
    one = {**body(), **changed}
    if "replicates" in changed:
        del one["seeds"]
    claims = {name: claim(rule) for name, rule in rules.items()}
    definition = PLANTED.model_copy(update={"claims": claims, "studies": {"quick": {"one": one}, "full": {"one": one}}})
    for module in (published, service):
        monkeypatch.setattr(module, "reproductions", lambda: {NAME: definition})
    started = client.post(PATH, json={})
    assert started.status_code == 201, started.text
    assert {one["result"]["verdict"] for one in started.json()["claims"]} == {"pending"}
    train_all()
    view = client.get(PATH).json()
    assert client.get(f"{PATH}/report").status_code == 200
    return {one["name"]: one["result"] for one in view["claims"]}


def falling(arm: str, seed: int, epoch: int) -> float:
    """Return a loss that crosses 1 at epoch 2 with dropout, and without it at epoch 4, with some seeds at 5."""
    crossing = 2 if arm == "dropout" else 4 + (seed % 3 == 0)
    return 0.5 if epoch >= crossing else 1.5


def test_sooner_compares_the_first_epochs(client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    reverse = {**ARMS, "arm": "plain", "against": "dropout"}
    rules: dict[str, Rule] = {
        "true": Sooner(**ARMS, metric="val.loss", crosses=1.0),
        "false": Sooner(**reverse, metric="val.loss", crosses=1.0),
        "at once": Sooner(**ARMS, metric="val.loss", crosses=2.0),
    }
    of = results(client, monkeypatch, rules, lambda: train(client, work, falling, epochs=6), min_effect=5.0)
    assert {name: one["verdict"] for name, one in of.items()} == {
        "true": "reproduced", "false": "not_reproduced", "at once": "undecided",
    }  # fmt: skip
    (figure,) = of["true"]["figures"]
    assert (figure["n"], figure["mean"], figure["p_adjusted"]) == (8, -(2 + 3 / 8), 2 / 2**8)


def test_run_that_never_crosses_the_bound_is_last(
    client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(arm: str, seed: int, epoch: int) -> float:
        return falling(arm, seed, epoch) if arm == "dropout" else 1.5

    reverse = {**ARMS, "arm": "plain", "against": "dropout"}
    rules: dict[str, Rule] = {
        "true": Sooner(**ARMS, metric="val.loss", crosses=1.0),
        "false": Sooner(**reverse, metric="val.loss", crosses=1.0),
        "never": Sooner(**ARMS, metric="val.loss", crosses=0.1),
    }
    of = results(client, monkeypatch, rules, lambda: train(client, work, loss, epochs=6))
    assert [of[name]["verdict"] for name in rules] == ["reproduced", "not_reproduced", "undecided"]
    assert "'plain' never crossed the bound at 8 seeds" in of["true"]["explanation"]
    assert of["never"]["explanation"] == "Neither 'dropout' nor 'plain' crossed the bound with any seed."


def test_accuracy_crosses_its_bound_upward(client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    rules: dict[str, Rule] = {"true": Sooner(**ARMS, metric="test.accuracy", crosses=0.95)}
    of = results(client, monkeypatch, rules, lambda: train(client, work, falling, epochs=6))
    assert of["true"]["verdict"] == "reproduced"


def test_delay_is_the_quotient_of_two_first_epochs(
    client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(arm: str, seed: int, epoch: int) -> float:
        """Return a loss whose half, the training loss, crosses 1 at epoch 1, and itself at 6 with dropout."""
        return 0.5 if epoch >= 6 - seed % 2 and arm == "dropout" else 1.5

    fields: dict[str, Any] = {"study": "one", "metric": "val.loss", "crosses": 1.0, "after": "train.loss"}
    rules: dict[str, Rule] = {
        "true": Delay(**fields, arm="dropout", times=4),
        "false": Delay(**fields, arm="dropout", times=7),
        "close": Delay(**fields, arm="dropout", times=5.5),
        "never": Delay(**fields, arm="plain", times=4),
        "no series": Delay(**{**fields, "after": "train.f1"}, arm="dropout", times=4),
    }
    of = results(client, monkeypatch, rules, lambda: train(client, work, loss, epochs=6))
    assert [of[name]["verdict"] for name in rules] == [
        "reproduced", "not_reproduced", "undecided", "undecided", "undecided",
    ]  # fmt: skip
    assert of["true"]["figures"][0]["mean"] == 5.5
    assert "8 runs of 'plain' did not cross the bound by both metrics" in of["never"]["explanation"]
    assert "train.f1" in of["no series"]["explanation"]


def train_crossed(client: TestClient, work: Jobs, value: Value) -> None:
    """Record one epoch of every queued run, whose losses are values of arm, seed and split."""
    queued = client.get("/v1/runs", params={"status": "queued", "fields": "id,arm,spec", "limit": 1000}).json()["data"]
    losses = {run["id"]: value(run["arm"], run["spec"]["seed"], run["spec"]["dataset"]["split_seed"]) for run in queued}
    while claims := work.claim(WORKER, limit=100):
        work.started(claims, device="cpu", determinism_class="test")
        recorded = [(one.run_id, losses[one.run_id]) for one in claims]
        work.record(claims, [measured(run_id, 1, val_loss=loss, test_loss=loss) for run_id, loss in recorded])
        work.finish(claims, [Outcome(run_id=one.run_id, **SUCCEEDED) for one in claims])


def noise(*of: int) -> float:
    return float(np.random.default_rng(of).normal())


def crossed(seeds: int, splits: int, *arms: str) -> dict[str, Any]:
    """Return a study that trains every split with every seed; arms differ in the strength of a penalty."""
    patches = {arm: {"regularizers": [{"kind": "l2", "strength": place}]} for place, arm in enumerate(arms)}
    base = {**BODY, "dataset": {"kind": "digits"}}
    return {"base": base, "arms": patches, "replicates": {"seeds": seeds, "splits": splits}}


def test_shares_of_variance_are_compared(client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    scales = {"by split": (1.0, 0.1), "by seed": (0.1, 1.0), "by neither": (0.0, 0.0)}

    def loss(arm: str, seed: int, split: int) -> float:
        of_split, of_seed = scales[arm]
        return 5 + of_split * noise(1, split) + of_seed * noise(2, seed) + 0.1 * noise(3, seed, split)

    rules: dict[str, Rule] = {
        f"{factor}, {arm}": LargerShare(study="one", arm=arm, metric="val.loss", factor=factor)
        for arm in scales
        for factor in FACTORS
    }
    of = results(client, monkeypatch, rules, lambda: train_crossed(client, work, loss), **crossed(6, 6, *scales))
    assert {name: one["verdict"] for name, one in of.items()} == {
        "split, by split": "reproduced", "seed, by split": "not_reproduced",
        "split, by seed": "not_reproduced", "seed, by seed": "reproduced",
        "split, by neither": "undecided", "seed, by neither": "undecided",
    }  # fmt: skip
    assert "Variance of single runs: split 9" in of["split, by split"]["explanation"]


def test_shares_need_as_many_splits_as_seeds(client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    rules: dict[str, Rule] = {"split": LargerShare(study="one", arm="a", metric="val.loss")}
    of = results(
        client, monkeypatch, rules, lambda: train_crossed(client, work, lambda *of: of[2]), **crossed(2, 3, "a")
    )
    assert of["split"]["verdict"] == "undecided"


def test_verdicts_of_splits_flip_or_agree(client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    effects = {"plain": (0, 0, 0), "flips": (-1, 1, 1), "always": (-1, -1, -1), "once": (0, 0, -1)}

    def loss(arm: str, seed: int, split: int) -> float:
        return 3 + 0.5 * effects[arm][split] + 0.05 * noise(seed, split, len(arm))

    rules: dict[str, Rule] = {
        arm: Flips(study="one", arm=arm, against="plain", metric="val.loss") for arm in effects if arm != "plain"
    }
    of = results(client, monkeypatch, rules, lambda: train_crossed(client, work, loss), **crossed(8, 3, *effects))
    assert {name: one["verdict"] for name, one in of.items()} == {
        "flips": "reproduced", "always": "not_reproduced", "once": "undecided",
    }  # fmt: skip
    assert "On 3 splits alone, 'flips' is better on 1, worse on 2, undecided on 0" in of["flips"]["explanation"]


def test_study_without_crossed_replicates_decides_nothing_about_splits(
    client: TestClient, work: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules: dict[str, Rule] = {
        "share": LargerShare(study="one", arm="plain", metric="val.loss"),
        "flips": Flips(**ARMS, metric="val.loss"),
    }
    of = results(client, monkeypatch, rules, lambda: train(client, work, falling, epochs=6))
    assert {one["verdict"] for one in of.values()} == {"undecided"}


def test_sentences_name_the_bound_and_the_metrics() -> None:
    sooner = Sooner(**ARMS, metric="val.error", crosses=0.05)
    assert "val.error crosses 0.05 is significantly earlier for 'dropout' than for 'plain'" in sooner.sentence
    delay = Delay(study="one", arm="plain", metric="val.error", crosses=0.05, after="train.error", times=2)
    assert "divided by that of train.error" in delay.sentence
    assert "split contributes significantly more than the seed" in LargerShare(study="one", arm="plain").sentence
    assert "on each split alone" in Flips(**ARMS).sentence
    with pytest.raises(ValueError, match="compared with itself"):
        Delay(study="one", arm="plain", metric="val.error", crosses=0.05, after="val.error", times=2)
