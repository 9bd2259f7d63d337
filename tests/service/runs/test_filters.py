"""Filters, orders and pages of runs, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.errors import BadCursor, SpecRefused
from service.runs.pages import RunQuery
from service.runs.run import RunMetadata
from service.runs.service import Runs
from service.runs.submission.new_run import NewRun
from service.store.database import open_engine
from service.workers.jobs import Jobs
from tests.conftest import DATABASES, WORKER, measured, migrated_settings, spec
from worker.ports import Outcome

RUNS: dict[str, dict[str, Any]] = {
    "slow": {"optimizer": {"kind": "sgd", "lr": 0.01}},
    "fast": {"optimizer": {"kind": "sgd", "lr": 0.5}, "seed": 2},
    "dropped": {"regularizers": [{"kind": "dropout", "p": 0.4}], "optimizer": {"kind": "adam", "lr": 0.01}},
    "whole": {"batch_size": "full", "model": {"kind": "mlp", "hidden": [8, 4]}},
}
LOSSES = {"slow": 0.9, "fast": 0.3, "dropped": 0.5}
"""Validation losses of the finished runs; the other one is still queued."""


@pytest.fixture(scope="module", params=DATABASES)
def four(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Four runs for tests that change nothing."""
    for settings in migrated_settings(request, tmp_path_factory.mktemp("four")):
        engine = open_engine(settings)
        yield with_four(Runs(engine, settings), Jobs(engine, settings))
        engine.dispose()


def with_four(runs: Runs, jobs: Jobs) -> Runs:
    for name, changes in RUNS.items():
        new = NewRun(spec=spec(**changes), metadata=RunMetadata(name=name, labels={"course.name": "dl", "who": name}))
        run_id = runs.submit(new, render=lambda run: run.id).resource_id
        if name in LOSSES:
            (claim,) = jobs.claim(WORKER, limit=1)
            jobs.record([claim], [measured(run_id, 1, val_loss=LOSSES[name])])
            jobs.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    return runs


def names_of(runs: Runs, **query: Any) -> list[str]:
    return [run.name or "" for run in runs.page(RunQuery(**query)).runs]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('status = "queued"', ["whole"]),
        ('status != "queued"', ["dropped", "fast", "slow"]),
        ('name = "fast" OR name = "slow"', ["fast", "slow"]),
        ("best.value < 0.6", ["dropped", "fast"]),
        ("NOT best.value < 0.6", ["slow", "whole"]),
        ("last.val.loss >= 0.5 AND spec.optimizer.lr = 0.01", ["dropped", "slow"]),
        ("spec.optimizer.lr = 0.01 and not spec.regularizers.0.p = 0.4", ["slow"]),
        ('spec.regularizers.0.kind = "dropout"', ["dropped"]),
        ("spec.regularizers.0 = null", ["fast", "slow", "whole"]),
        ('best != null AND (seed = 2 OR spec.optimizer.kind = "adam")', ["dropped", "fast"]),
        ('spec.batch_size = "full"', ["whole"]),
        ("spec.batch_size = 32", ["dropped", "fast", "slow"]),
        ("spec.model.hidden.1 = 4", ["whole"]),
        ("spec.model.hidden = 4", []),
        ('spec.model.hidden < 4 OR spec.optimizer > "a"', []),
        ("spec.allow_test_selection = false", ["dropped", "fast", "slow", "whole"]),
        ('labels.course.name = "dl" AND labels.who > "f"', ["fast", "slow", "whole"]),
        ('spec.loss.delta = 3 OR spec.model.norm = "batch" OR spec.stop.15.patience = 3', []),
        ("error.code = null AND study_id = null", ["dropped", "fast", "slow", "whole"]),
        ("epoch > 0.5 AND priority <= -0e3", ["dropped", "fast", "slow"]),
        ('name ~ "LO"', ["slow"]),
        ('labels.who ~ "o" AND NOT name ~ "%"', ["dropped", "slow", "whole"]),
        ('spec.optimizer.kind ~ "da" OR id ~ "_" AND spec.optimizer.lr ~ "0"', ["dropped"]),
        ('study.name ~ "a" OR study.name != null', []),
        ("NOT " * 20 + "seed = 2" + " OR seed = 3" * 100, ["fast"]),
    ],
)
def test_filter_returns_the_matching_runs(four: Runs, text: str, names: list[str]) -> None:
    assert sorted(names_of(four, filter=text)) == names


def test_pages_of_folded_studies_lose_no_row(four: Runs) -> None:
    everything = names_of(four, folds_studies=True, limit=10)
    assert len(everything) == len(RUNS)
    listed, after = list[str](), None
    for _ in RUNS:
        page = four.page(RunQuery(folds_studies=True, limit=1, after=after, sort="best.value"))
        listed += [run.name or "" for run in page.runs]
        after = page.next_cursor
    assert listed == ["fast", "dropped", "slow", "whole"]
    assert after is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "syntax error"),
        ("status", "syntax error"),
        ("status = succeeded", "double quotes"),
        ('status = "a" AND', "syntax error"),
        ("colour = 3", "Unknown field 'colour'"),
        ("spec = 3", "Unknown field 'spec'"),
        ("status = 3", "is a text"),
        ('seed = "3"', "is a number"),
        ("best.value < null", "have no order"),
        ("name ~ null", "Compare 'name' with = or !="),
        ("spec.optimizer.lr ~ 3", "double quotes"),
        ("best.valu < 3", "'best.valu'. Did you mean 'best.value'"),
        ("best.zzz < 3", "'best' has epoch, metric, value"),
        ('spec.optimizr.kind = "sgd"', "'spec.optimizr'. Did you mean 'spec.optimizer'"),
        ("NOT spec.optimizer.lrr = null", "'spec.optimizer.lrr'. Did you mean 'spec.optimizer.lr'"),
        ("spec.regularizers.p = 0.4", "is a list with indexes from 0: 'spec.regularizers.0'"),
        ("spec.regularizers.0.strenght = 0.4", "Did you mean 'spec.regularizers.0.strength'"),
        ("spec.epochs.number = 3", "'spec.epochs' is a single value"),
        ("spec.nothing.at.all = 3", "'spec' has dataset, model"),
        ("(" * 3000 + "seed = 1" + ")" * 3000, "at most 2000"),
        ("(" * 900 + "seed = 1" + ")" * 900, "nested more than"),
        ("NOT " * 400 + "seed = 1", "nested more than"),
    ],
)
def test_invalid_filter_is_refused_with_a_message(runs: Runs, text: str, message: str) -> None:
    with pytest.raises(SpecRefused, match=message) as refused:
        names_of(runs, filter=text)
    assert refused.value.errors[0].pointer == "filter"


FIELDS = [
    "status",
    "spec.optimizer.lr",
    "best.value",
    "labels.who",
    "last.val.loss",
    "spec.model.hidden",
    "spec..",
    "best",
]
OPERATORS = ["=", "<", "!=", "AND", "OR", "NOT", "(", ")", "'", "%", ";--"]
VALUES = ["3", "-1e9", '"x"', '"\\"', "true", "null"]
words = st.sampled_from([*FIELDS, *OPERATORS, *VALUES])


@pytest.mark.slow
@hypothesis_settings(max_examples=150)
@given(st.lists(words, max_size=9).map(" ".join) | st.text(max_size=30))
def test_any_text_is_a_filter_or_refused(four: Runs, text: str) -> None:
    try:
        names = names_of(four, filter=text)
    except SpecRefused:
        return
    assert set(names) <= RUNS.keys()


def test_every_comparison_accepts_every_type_of_value(four: Runs) -> None:
    """A cast that fails on one row would fail the whole query on PostgreSQL."""
    for field in (
        "spec.optimizer.lr",
        "spec.model.hidden",
        "spec.optimizer",
        "spec.dataset.normalize",
        "best.metric",
        "best.value",
    ):
        for value in ("3", '"x"', "true", "null"):
            assert set(names_of(four, filter=f"{field} = {value} OR NOT {field} != {value}")) <= RUNS.keys()


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("created_at", ["slow", "fast", "dropped", "whole"]),
        ("-created_at", ["whole", "dropped", "fast", "slow"]),
        ("best.value", ["fast", "dropped", "slow", "whole"]),
        ("-best.value", ["slow", "dropped", "fast", "whole"]),
        ("last.val.loss", ["fast", "dropped", "slow", "whole"]),
    ],
)
def test_pages_follow_the_sort_order_to_the_last_run(four: Runs, sort: str, names: list[str]) -> None:
    assert names_of(four, sort=sort) == names
    listed, after = list[str](), None
    for _ in range(4):
        page = four.page(RunQuery(sort=sort, limit=1, after=after))
        listed += [run.name or "" for run in page.runs]
        after = page.next_cursor
    assert (listed, after) == (names, None)


def test_cursor_of_another_order_is_refused(four: Runs) -> None:
    cursor = four.page(RunQuery(sort="best.value", limit=1)).next_cursor
    with pytest.raises(BadCursor):
        four.page(RunQuery(after=cursor))
    with pytest.raises(SpecRefused, match="Cannot sort by 'name'"):
        four.page(RunQuery(sort="name"))
    with pytest.raises(SpecRefused, match="Did you mean") as refused:
        four.page(RunQuery(sort="-best.valu"))
    assert refused.value.errors[0].pointer == "sort"
