"""Studies, pauses and diagnoses with real processes, real training and real data."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitwell.study import Study
from tests import warm
from tests.patience import eventually, scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [32]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 12,
}
ARMS: dict[str, Any] = {
    "plain": {},
    "hobbled": {"optimizer": {"lr": 0.001}},
    "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.2}]},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("studies") / "home", workers=2) as one:
        yield one


@pytest.fixture(scope="module")
def study(served: Serving) -> Study:
    eventually(lambda: len(served.client.transport.request("GET", "/v1/workers").json()["data"]) == 2)
    return served.client.studies.create(name="three", base=BASE, arms=ARMS, seeds=8).wait(scaled(120))


def test_study_trains_as_stacks_that_its_workers_share(served: Serving, study: Study) -> None:
    runs = list(served.client.runs.list(study_id=study.id))
    assert (len(runs), {run.status for run in runs}) == (24, {"succeeded"})
    sizes = {run.model_dump()["stack"]["size"] for run in runs}
    assert sizes == {12}, "24 runs that can share a stack, two idle workers"


def test_comparison_equals_one_computed_from_the_histories(served: Serving, study: Study) -> None:
    comparison = study.compare()
    assert (comparison.metric, comparison.epoch_by, comparison.optimistic) == ("test.loss", "val.loss", False)
    losses: dict[tuple[str, int], float] = {}
    for run in served.client.runs.list(study_id=study.id):
        validation, test = (np.array(run.history[name], dtype=float) for name in ("val.loss", "test.loss"))
        losses[run.arm or "", run.seed] = test[validation.argmin()]
    for arm in ("hobbled", "dropout"):
        d = np.array([losses[arm, seed] - losses["plain", seed] for seed in range(8)])
        pair = comparison.against("plain")[arm]
        signs = np.array(list(itertools.product([1, -1], repeat=8)))
        assert pair.mean_difference == pytest.approx(d.mean())
        assert pair.p == pytest.approx(np.mean(np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12)))
    assert comparison.against("plain")["hobbled"].verdict == "worse"
    curves = study.compare(curves=["val.loss", "train.loss_eval"]).curves
    assert [len(curve["epoch"]) for curve in curves["val.loss"]] == [12, 12, 12]


def test_sequential_study_streams_all_its_runs_and_ends_by_itself(served: Serving) -> None:
    seeds = {"max": 8, "first": 6, "step": 2, "start": 50}
    study = served.client.studies.create(base=BASE, arms=ARMS, seeds=seeds, metric="val.loss")
    events = list(study.stream())
    study = study.refresh()
    assert study.terminal
    arms = {arm.id: arm for arm in study.arms}
    ids = {run.id for run in study.runs()}
    assert len(ids) == sum(arm.runs for arm in arms.values())
    assert {event.run_id for event in events if event.type == "run.succeeded"} == ids
    assert (arms["hobbled"].decided_at, arms["hobbled"].runs, arms["plain"].runs) == (6, 6, len(study.seeds))
    comparison = study.compare()
    assert comparison.against("plain")["hobbled"].verdict == "worse"
    assert comparison.sequential is not None
    looks = [event.data["seeds"] for event in events if event.type == "study.look"]
    assert looks == [look.seeds for look in comparison.sequential.looks]


def test_resumed_run_has_the_bits_of_an_undisturbed_one(served: Serving) -> None:
    body = {**BASE, "epochs": 400, "optimizer": {"kind": "momentum", "lr": 0.01}, "seed": 77}
    paused, mate = (served.client.runs.create(**{**body, "seed": seed}) for seed in (77, 78))
    eventually(lambda: paused.refresh().progress.epoch >= 5)
    paused.pause()
    eventually(lambda: paused.refresh().status == "paused")
    reached = paused.refresh().progress.epoch
    assert 5 <= reached < 400
    assert mate.wait(scaled(60)).status == "succeeded"
    assert paused.refresh().progress.epoch == reached
    done = paused.resume().wait(scaled(60))
    straight = served.client.runs.create(reuse=False, **body).wait(scaled(60))
    digests = [run.model_dump()["determinism"]["digest"] for run in (done, straight)]
    assert digests[0] == digests[1]
    assert done.history.series["val.loss"] == straight.history.series["val.loss"]


def test_network_that_grew_too_large_without_a_nan_has_diverged(served: Serving) -> None:
    """At a learning rate of 1e6 a narrow network's loss is 1e30, and finite: its units are dead."""
    run = served.client.runs.create(**{**BASE, "optimizer": {"kind": "sgd", "lr": 1e6}}).wait(scaled(60), check=False)
    diagnosis = run.diagnosis()
    assert diagnosis["verdict"] == "diverged"
    assert diagnosis["suggested_patch"] == {"optimizer": {"lr": 0.1}}


def test_suggestion_of_a_diagnosis_can_be_trained(served: Serving) -> None:
    run = served.client.runs.create(**{**BASE, "optimizer": {"kind": "sgd", "lr": 0.02}}).wait(scaled(60))
    diagnosis = run.diagnosis()
    assert diagnosis["verdict"] == "underfits"
    assert served.client.runs.create(**diagnosis["suggested_spec"]).wait(scaled(60)).progress.epochs == 24


def test_arms_of_the_preset_underfit_fit_and_overfit(served: Serving) -> None:
    body = served.client.presets.get("over_and_underfitting").study
    assert body is not None
    diagnosed = served.client.studies.create(**body).wait(scaled(120)).diagnosis()
    verdicts = {arm.arm: arm.verdict for arm in diagnosed.arms}
    assert verdicts == {"too small": "underfits", "about right": "fits", "too large": "overfits"}


def test_study_is_cancelled_as_a_whole_and_deleted(served: Serving) -> None:
    study = served.client.studies.create(base={**BASE, "epochs": 100_000}, arms=ARMS, seeds=2)
    eventually(lambda: study.refresh().progress["epoch"] > 0)
    study.cancel()
    ended = study.wait(scaled(60))
    assert ended.progress["by_status"] == {"cancelled": 6}
    files = list(served.home.glob("checkpoints/*/*"))
    ended.delete()
    assert study.id not in [one.id for one in served.client.studies.list()]
    assert len(list(served.home.glob("checkpoints/*/*.safetensors"))) < len(files)


@pytest.fixture(scope="module")
def folded(served: Serving) -> Study:
    base = {**BASE, "epochs": 6, "regularizers": [{"kind": "l2", "strength": 0.0}]}
    grid = {"regularizers.0.strength": [0.0, 0.003, 0.3]}
    return served.client.studies.create(base=base, grid=grid, folds=3, seeds=2).wait(scaled(120))


def test_choice_on_folds_equals_one_computed_from_the_histories(served: Serving, folded: Study) -> None:
    assert folded.progress["by_status"] == {"succeeded": 18}
    losses = np.empty((3, 2, 3))
    for run in served.client.runs.list(study_id=folded.id):
        arm = [0.0, 0.003, 0.3].index(run.spec["regularizers"][0]["strength"])
        best = min(value for value in run.history["val.loss"] if value is not None)
        losses[arm, run.seed, run.spec["dataset"]["fold"]["index"]] = best
    choice = folded.choice("one_standard_error")
    by_fold = losses.mean(axis=1)
    means, error = by_fold.mean(axis=1), by_fold.std(axis=1, ddof=1) / 3**0.5
    assert [one.mean for one in choice.arms] == pytest.approx(means.tolist())
    assert [one.standard_error for one in choice.arms] == pytest.approx(error.tolist())
    within = means <= means.min() + error[means.argmin()]
    assert choice.chosen == folded.arms[int(np.flatnonzero(within).max())].id
    assert [group.mean for group in folded.compare().arms] == pytest.approx(means.tolist())
    run = served.client.runs.create(**choice.chosen_spec).wait(scaled(60))
    assert (run.status, run.spec) == ("succeeded", choice.chosen_spec)
    assert "val.loss" not in run.history.series, "all rows train"


def test_command_line_chooses_an_arm_and_submits_it(served: Serving, folded: Study) -> None:
    def fitwell(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FITWELL_URL": served.client.transport.url}
        return warm.fitwell(*arguments, text=text, env=environment, timeout=scaled(90))

    choice = fitwell("choose", folded.id, "--rule", "one_standard_error")
    assert choice.returncode == 0, choice.stderr
    assert "mean ± standard error over 3 folds" in choice.stdout
    assert "the simplest of them is" in choice.stdout
    choice = json.loads(fitwell("choose", folded.id, "--json").stdout)
    assert choice["chosen"] == choice["best"]
    submitted = fitwell("submit", "-", "--wait", text=json.dumps(choice["chosen_spec"]))
    assert submitted.returncode == 0, submitted.stderr
    wrong = fitwell("choose", folded.id, "--rule", "one_standard_error", "--simpler", "optimizer.nothing:asc")
    assert (wrong.returncode, "optimizer.nothing" in wrong.stderr) == (3, True)


def test_histograms_distinguish_the_zeros_of_l1_from_l2(served: Serving) -> None:
    """The report and the history of the last epoch have the same shares of zeros."""
    zeros = {}
    for kind, strength in (("l1", 0.005), ("l2", 0.03)):
        regularizers = [{"kind": kind, "strength": strength}]
        run = served.client.runs.create(**{**BASE, "epochs": 40}, regularizers=regularizers).wait(scaled(60))
        weights = served.client.transport.request("GET", f"/v1/runs/{run.id}/weights").json()
        assert [(p["name"], p["shape"]) for p in weights["parameters"]] == [
            ("layers.0.weight", [32, 64]),
            ("layers.0.bias", [32]),
            ("layers.1.weight", [10, 32]),
            ("layers.1.bias", [10]),
        ]
        matrices = [p for p in weights["parameters"] if len(p["shape"]) == 2]
        sizes = [p["shape"][0] * p["shape"][1] for p in matrices]
        zeros[kind] = sum(p["zeros"] * n for p, n in zip(matrices, sizes, strict=True)) / sum(sizes)
        assert zeros[kind] == pytest.approx(run.last["weights.zeros"])
        assert sum(p["norm"] ** 2 for p in matrices) ** 0.5 == pytest.approx(run.last["weights.norm"], rel=1e-5)
        assert [sum(p["histogram"]["counts"]) for p in matrices] == sizes
    assert zeros["l1"] > 0.2
    assert zeros["l2"] < 0.01


def test_diverged_run_has_a_weight_summary(served: Serving) -> None:
    body = {**BASE, "regularizers": [{"kind": "l2", "strength": 1e6}]}
    run = served.client.runs.create(**body).wait(scaled(60), check=False)
    assert run.error is not None
    assert run.error["code"] == "diverged"
    weights = served.client.transport.request("GET", f"/v1/runs/{run.id}/weights").json()
    assert any(p["nonfinite"] or p["norm"] > 1e10 for p in weights["parameters"])


def test_command_line_previews_trains_compares_and_diagnoses(served: Serving) -> None:
    def fitwell(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FITWELL_URL": served.client.transport.url}
        return warm.fitwell(*arguments, env=environment, timeout=scaled(90))

    file = str(Path(__file__).parents[2] / "examples" / "study.yaml")
    assert "24 runs in 1 stacks" in fitwell("study", file, "--preview").stdout
    few = fitwell("study", file, "--preview", "--set", "seeds=3")
    assert "No difference can be significant" in few.stdout
    queued = fitwell("study", file, "--set", "seeds=2", "--set", "base.epochs=1")
    assert "Warning: No difference can be significant" in queued.stderr
    assert queued.stdout.startswith("study_")
    sequential = fitwell("study", file, "--preview", "--max-seeds", "16", "--vary", "seed,split")
    assert "24 runs in" in sequential.stdout, sequential.stderr
    assert "adds runs until every arm is decided, 48 in all at most" in sequential.stdout
    done = fitwell("study", file, "--wait")
    assert done.returncode == 0, done.stderr
    study_id = done.stdout.split()[0]
    assert "over 8 paired seeds" in done.stdout
    comparison = json.loads(fitwell("compare", study_id, "--json").stdout)
    answer = served.client.transport.request("GET", f"/v1/studies/{study_id}/compare").json()
    assert [pair["p"] for pair in comparison["pairs"]] == [pair["p"] for pair in answer["pairs"]]
    other = fitwell("compare", study_id, "--metric", "test.accuracy", "--min-effect", "0.5").stdout
    assert "equivalent to plain" in other
    assert "Exploratory" in other
    run = next(iter(served.client.runs.list(study_id=study_id, limit=1)))
    assert fitwell("diagnose", run.id).stdout.split(".")[0] in ("fits", "underfits", "overfits", "undecided")
    arms = served.client.studies.get(study_id).diagnosis().arms
    assert {(arm.n, arm.p is not None) for arm in arms} == {(8, True)}
    table = fitwell("diagnose", study_id).stdout
    assert all(arm.verdict.replace("_", " ") in table for arm in arms)
    base, arms_of_both = {**BASE, "epochs": 2}, {name: ARMS[name] for name in ("plain", "hobbled")}
    both = served.client.studies.create(
        base=base, arms=arms_of_both, datasets={"a": {}, "b": "mnist1d"}, seeds=2
    ).wait()
    ranked = fitwell("rank", both.id)
    assert ranked.returncode == 0, ranked.stderr
    assert "at least 6 datasets, and there are 2" in ranked.stdout
    assert json.loads(fitwell("rank", both.id, "--json").stdout)["arms"][1]["arm"] == "hobbled"
    wrong = fitwell("compare", study_id, "--by", "optimizer.nothing")
    assert (wrong.returncode, "optimizer.nothing" in wrong.stderr) == (3, True)
