"""Warm starts from runs that are trained first, with real training: the bits are those of doing it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from fitwell.run import Run
from tests.e2e.test_serve import SPEC
from tests.faults.system import reach
from tests.faults.test_kill import SPEC as LONG
from tests.patience import eventually, scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
SOURCE: dict[str, Any] = {**SPEC, "optimizer": {"kind": "momentum", "lr": 0.05}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("warm") / "home") as one:
        yield one


def digest(run: Run) -> str:
    assert run.determinism is not None
    return str(run.determinism.digest)


def source_of(served: Serving, run: Run) -> Run:
    return served.client.runs.get(run.refresh().spec["warm_start"]["run_id"])


def by_hand(served: Serving, first: dict[str, Any], then: dict[str, Any], seed: int, **start: Any) -> tuple[Run, Run]:
    """Train two runs, the second from the weights of the first."""
    source = served.client.runs.create(reuse=False, **first, seed=seed).wait(scaled(120))
    start = {"run_id": source.id, **start}
    return source, served.client.runs.create(reuse=False, **then, seed=seed, warm_start=start).wait(scaled(120))


@pytest.mark.parametrize(("at", "seed"), [("last", 6), ("best", 7)])
def test_run_with_a_source_has_the_bits_of_doing_it_by_hand(served: Serving, at: str, seed: int) -> None:
    run = served.client.runs.create(**SPEC, seed=seed, warm_start={"spec": SOURCE, "at": at})
    assert run.status == "waiting"
    assert "whose weights it starts from" in str(run.waiting_reason)
    done = run.wait(scaled(120))
    assert done.status == "succeeded"
    source, named = by_hand(served, SOURCE, SPEC, seed, at=at)
    assert digest(source_of(served, done)) == digest(source)
    assert digest(named) == digest(done)
    assert named.spec_hash == done.spec_hash
    assert done.verify(scaled(60)).outcome == "match"
    longer = done.extend(done.progress.epochs + 2).wait(scaled(60))
    assert longer.status == "succeeded"


def test_arm_continues_from_another_arm_seed_by_seed(served: Serving) -> None:
    arms = {"first": {}, "continued": {"optimizer": {"kind": "sgd", "lr": 0.02}, "warm_start": {"spec": SOURCE}}}
    study = served.client.studies.create(base=SOURCE, arms=arms, seeds=2)

    def ended() -> list[dict[str, Any]] | None:
        url = f"{served.client.transport.url}/v1/runs?study_id={study.id}"
        runs: list[dict[str, Any]] = httpx2.get(url, timeout=scaled(30)).json()["data"]
        return runs if all(run["terminal"] for run in runs) else None

    runs = {run["id"]: run for run in eventually(ended, 90)}
    assert [run["status"] for run in runs.values()] == ["succeeded"] * 4
    for run in (run for run in runs.values() if run["arm"] == "continued"):
        assert runs[run["spec"]["warm_start"]["run_id"]]["seed"] == run["seed"]
        _, named = by_hand(served, SOURCE, {**SOURCE, "optimizer": {"kind": "sgd", "lr": 0.02}}, run["seed"])
        assert digest(named) == run["determinism"]["digest"]


def test_source_that_diverges_fails_the_run_with_a_reason(served: Serving) -> None:
    wild = {**SOURCE, "regularizers": [{"kind": "l2", "strength": 1e6}]}
    run = served.client.runs.create(**SPEC, warm_start={"spec": wild})
    ended = eventually(lambda: run.refresh() if run.refresh().terminal else None, 30)
    assert ended.error is not None
    assert (ended.status, ended.error["code"]) == ("failed", "source_failed")
    source = source_of(served, ended)
    assert ended.error["message"] == f"The run {source.id}, whose weights it starts from, diverged."


def test_source_and_run_that_are_killed_and_resumed_have_the_same_bits(served: Serving) -> None:
    then = {**LONG, "optimizer": {"kind": "adam", "lr": 0.0005}}
    run = served.client.runs.create(**then, seed=3, warm_start={"spec": LONG})
    source = source_of(served, run)
    for one in (source, run):
        reach(one, 6)
        trainer = served.part("trainer")
        assert trainer is not None
        trainer.kill()
    done = run.wait(scaled(240))
    undisturbed, named = by_hand(served, LONG, then, 3)
    assert digest(source.refresh()) == digest(undisturbed)
    assert digest(named) == digest(done)
    assert all(one.determinism and one.determinism.resumes for one in (source.refresh(), done))
