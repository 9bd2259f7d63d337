"""Replicates: designs, refusals, and what their comparison says of seeds and splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy import stats

from service.errors import SpecRefused
from service.studies.replicates import check_split_varies
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from tests.service.studies.training import SUCCEEDED, compare, post
from worker.ports import Outcome
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow
DIGITS: dict[str, Any] = {**BODY, "dataset": {"kind": "digits"}}
STUDY: dict[str, Any] = {
    "base": DIGITS,
    "arms": {"plain": {}, "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.4}]}},
    "at": "last",
}


def create(client: TestClient, **changed: Any) -> Any:
    return client.post("/v1/studies", json={**STUDY, **changed})


def pairs_of(client: TestClient, study: Any) -> set[tuple[str, int, int]]:
    """Arm, seed and split_seed of every run."""
    query = {"study_id": study["id"], "limit": 1000}
    runs = client.get("/v1/runs", params=query).json()["data"]
    return {(run["arm"], run["spec"]["seed"], run["spec"]["dataset"]["split_seed"]) for run in runs}


def loss(arm: str, seed: int, split: int) -> float:
    """Return a loss in which splits matter more than seeds, and the effect of dropout depends on both."""
    draw = np.random.default_rng([seed, split, arm == "dropout"]).normal()
    return float(2 + 0.5 * np.cos(split) + 0.1 * np.sin(seed) + 0.05 * draw - 0.2 * (arm == "dropout"))


def train(client: TestClient, work: Jobs, most: int = 1000) -> None:
    """Train ``most`` of the queued runs, for one epoch."""
    while most > 0 and (claims := work.claim(WORKER, limit=min(most, 100))):
        most -= len(claims)
        work.started(claims, device="cpu", determinism_class="test")
        rows = [client.get(f"/v1/runs/{claim.run_id}").json() for claim in claims]
        values = [loss(row["arm"], row["spec"]["seed"], row["spec"]["dataset"]["split_seed"]) for row in rows]
        work.record(
            claims, [measured(c.run_id, 1, val_loss=v, test_loss=v) for c, v in zip(claims, values, strict=True)]
        )
        work.finish(claims, [Outcome(run_id=claim.run_id, **SUCCEEDED) for claim in claims])


@pytest.mark.parametrize(
    ("replicates", "runs", "over"),
    [
        ({"n": 3}, {(0, 0), (1, 1), (2, 2)}, ["seed", "split"]),
        ({"n": 3, "vary": ["seed"]}, {(0, 7), (1, 7), (2, 7)}, ["seed"]),
        ({"n": 3, "vary": ["split"]}, {(0, 0), (0, 1), (0, 2)}, ["split"]),
        ({"seeds": 2, "splits": 3}, {(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)}, ["split"]),
    ],
)
def test_replicates_vary_seed_and_split_alike_in_every_arm(
    client: TestClient, replicates: dict[str, Any], runs: set[tuple[int, int]], over: list[str]
) -> None:
    base = DIGITS if "split" in over else {**DIGITS, "dataset": {"kind": "digits", "split_seed": 7}}
    study = create(client, base=base, replicates=replicates).json()
    assert pairs_of(client, study) == {(arm, *pair) for arm in ("plain", "dropout") for pair in runs}
    assert study["splits"] == (None if over == ["seed"] else sorted({split for _, split in runs}))
    assert compare(client, study)["generalizes_over"] == over
    preview = client.post("/v1/studies/preview", json={**STUDY, "base": base, "replicates": replicates}).json()
    assert (preview["runs"], preview["splits"], preview["stacks"]) == (2 * len(runs), study["splits"], 1)


def test_generated_data_vary_with_the_seed(client: TestClient) -> None:
    base = {**BODY, "dataset": {"kind": "linear"}, "model": {"kind": "linear"}}
    fixed = {**base, "dataset": {"kind": "linear", "data_seed": 3}}
    for body, over in ((base, ["seed", "data"]), (fixed, ["seed"])):
        study = post(client, base=body, arms={"plain": {}, "slow": {"optimizer": {"lr": 0.01}}}, seeds=2).json()
        assert compare(client, study)["generalizes_over"] == over


def test_split_of_ordered_rows_or_with_teachers_is_not_varied() -> None:
    content = {"task": "regression", "shape": [2], "classes": [], "rows_train": 90, "rows_test": 30, "order": "time"}
    ordered = {"kind": "uploaded", "id": f"dataset_{'0' * 64}", "content": content, "validation_size": 20}
    teacher = {"run_id": f"run_{'0' * 26}", "sha256": "a" * 64, "network": {"model": {"kind": "linear"}}}
    student = {**DIGITS, "regularizers": [{"kind": "distillation", "teachers": [teacher]}]}
    linear = {"model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.1}}
    for body, reason in (({**linear, "dataset": ordered}, "order of time"), (student, "teachers")):
        with pytest.raises(SpecRefused, match=reason):
            check_split_varies("plain", RunSpec.of(body))


def test_replicates_are_added_with_seed_and_split(client: TestClient) -> None:
    study = create(client, replicates={"n": 2}).json()
    client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 1})
    assert {pair[1:] for pair in pairs_of(client, study)} == {(0, 0), (1, 1), (2, 2)}
    crossed = create(client, replicates={"seeds": 2, "splits": 2}).json()
    refusal = client.post(f"/v1/studies/{crossed['id']}/seeds", json={"add": 1})
    assert (refusal.status_code, refusal.json()["errors"][0]["code"]) == (422, "replicates_are_splits")


def test_crossed_design_averages_seeds_within_splits_and_shares_out_the_variance(
    client: TestClient, work: Jobs
) -> None:
    study = create(client, replicates={"seeds": 3, "splits": 8}).json()
    train(client, work, most=40)
    early = compare(client, study)
    assert (early["not_yet"]["planned"], early["not_yet"]["ended"]) == (48, 40)
    assert [early["pairs"][0][name] for name in ("p", "p_nadeau_bengio")] == [None, None], "no look is due yet"
    train(client, work)
    result = compare(client, study)
    tables = {arm: np.array([[loss(arm, i, j) for i in range(3)] for j in range(8)]) for arm in ("plain", "dropout")}
    differences = tables["dropout"] - tables["plain"]
    (pair,) = result["pairs"]
    assert (pair["n"], pair["verdict"]) == (8, "better")
    assert [one["difference"] for one in pair["differences"]] == pytest.approx(differences.mean(axis=1))
    for view, table in ((result["arms"][0], tables["plain"]), (pair, differences)):
        assert view["variance"] == pytest.approx(anova(table))
    assert sum(result["arms"][0]["variance"][name] for name in ("split", "seed", "residual")) == pytest.approx(1)
    assert result["arms"][0]["variance"]["split"] > 0.8
    ratio = 288 / (1442 - 288)
    d = differences.mean(axis=1)
    t = d.mean() / np.sqrt((1 / 8 + ratio) * d.var(ddof=1))
    assert pair["p_nadeau_bengio"] == pytest.approx(t_tail(t, 7), rel=1e-6)
    assert pair["p_nadeau_bengio"] > stats.ttest_1samp(d, 0).pvalue
    assert compare(client, study, metric="test.loss")["pairs"][0]["p_nadeau_bengio"] is None, "test rows do not vary"
    choice = client.get(f"/v1/studies/{study['id']}/choice").json()
    assert (choice["chosen"], choice["seeds"]) == ("dropout", list(range(8)))
    assert "over 8 splits" in choice["explanation"]
    seeds = post(client, seeds=2).json()
    train(client, work)
    plain = compare(client, seeds, at="last", metric="val.loss")
    assert [plain["generalizes_over"], plain["arms"][0]["variance"], plain["pairs"][0]["p_nadeau_bengio"]] == [
        ["seed"], None, None,
    ]  # fmt: skip


def anova(table: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return total and shares of variance from the sums of squares of a two-way layout, term by term."""
    rows, columns = table.shape
    grand = table.mean()
    of_rows = columns * sum((table[i].mean() - grand) ** 2 for i in range(rows)) / (rows - 1)
    of_columns = rows * sum((table[:, j].mean() - grand) ** 2 for j in range(columns)) / (columns - 1)
    total = sum((table[i, j] - grand) ** 2 for i in range(rows) for j in range(columns))
    rest = total - of_rows * (rows - 1) - of_columns * (columns - 1)
    residual = rest / ((rows - 1) * (columns - 1))
    split, seed = max(0, (of_rows - residual) / columns), max(0, (of_columns - residual) / rows)
    variance = split + seed + residual
    return {"total": variance, "split": split / variance, "seed": seed / variance, "residual": residual / variance}


def t_tail(t: float, freedom: int) -> float:
    """Return the two-sided tail of Student's t, by integrating its density."""
    x = np.linspace(0, abs(t), 200_001)
    density = (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    wide = np.tan(np.linspace(0, np.pi / 2, 2_000_001)[:-1])
    half = np.trapezoid((1 + wide**2 / freedom) ** (-(freedom + 1) / 2), wide)
    return float(1 - np.trapezoid(density, x) / half)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"replicates": {"n": 4}, "seeds": 4}, "/seeds", "seeds_and_replicates"),
    ({"replicates": {"n": 4}, "folds": 5}, "/folds", "folds_and_replicates"),
    ({"replicates": {"n": 0}}, "/replicates/n", "too_few_replicates"),
    ({"replicates": {"n": 1}}, "/replicates/n", "too_few_replicates"),
    ({"replicates": {"n": 10_001}}, "/replicates/n", "less_than_equal"),
    ({"replicates": {"n": 10_000, "vary": ["split"]}}, "", "too_many_runs"),
    ({"replicates": {"seeds": 100, "splits": 100}}, "", "too_many_runs"),
    ({"replicates": {}}, "/replicates", "replicates_or_crossed"),
    ({"replicates": {"n": 4, "splits": 4}}, "/replicates", "replicates_or_crossed"),
    ({"replicates": {"seeds": 4, "splits": 1}}, "/replicates", "too_few_replicates"),
    ({"replicates": {"n": 4, "vary": ["seed", "seed"]}}, "/replicates/vary", "factor_twice"),
    ({"replicates": {"n": 4, "vary": ["order"]}}, "/replicates/vary/0", "literal_error"),
    ({"replicates": {"n": 4}, "grid": {"dataset.split_seed": [1, 2]}}, "/grid/dataset.split_seed", "split_elsewhere"),
]
DATASETS: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "digits", "split_seed": 1}, "/base/dataset/split_seed", "split_elsewhere"),
    ({"kind": "digits", "validation_size": 0}, "/replicates", "split_not_variable"),
]
REFUSED += [
    ({"replicates": {"n": 4}, "base": {**BODY, "dataset": one}}, pointer, code) for one, pointer, code in DATASETS
]


def test_contradictory_replicates_are_refused(client: TestClient) -> None:
    for changed, pointer, code in REFUSED:
        answer = client.post("/v1/studies/preview", json={**STUDY, **changed})
        assert answer.status_code == 422, answer.text
        assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [(pointer, code)], answer.text
