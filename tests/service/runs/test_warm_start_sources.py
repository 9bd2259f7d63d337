"""Warm starts from runs that are trained first, on both databases: waiting, sharing, failing, retrying."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from service.errors import SpecRefused
from service.runs.errors import TransitionRefused
from service.runs.reader import RunReader
from service.runs.run import Run
from service.runs.service import Runs
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, body, submit
from tests.service.runs.teachers import distill, end, event_types
from worker.ports import Outcome

OTHER: dict[str, Any] = {**BODY, "epochs": 5}
"""A spec without a seed."""


def start_of(run: Run) -> dict[str, Any]:
    start: dict[str, Any] = run.spec["warm_start"]
    return start


def source_id(runs: Runs, run_id: str) -> str:
    return str(start_of(runs.get(run_id))["run_id"])


def test_run_waits_for_its_source_and_starts_from_its_weights(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    warm = submit(runs, seed=4, warm_start={"spec": OTHER})
    run = runs.get(warm)
    source = source_id(runs, warm)
    assert run.status == "waiting"
    assert run.waiting_reason == f"Waiting for the run whose weights it starts from: {source}."
    assert start_of(run) == {"run_id": source, "at": "last", "sha256": None, "wait": True}
    assert runs.get(source).spec["seed"] == 4, "a spec without a seed has that of the run"
    (claim,) = jobs.claim(WORKER, limit=8)
    assert claim.run_id == source
    end(jobs, claim)
    ready = runs.get(warm)
    assert (ready.status, ready.waiting_reason is not None) == ("queued", True)
    assert start_of(ready) == {"run_id": source, "at": "last", "sha256": "a" * 64}
    assert event_types(reader, warm) == ["run.created", "run.queued"]
    (claim,) = jobs.claim(WORKER, limit=8)
    assert [(file.at, file.sha256) for file in claim.weights] == [("start", "a" * 64)]
    named = submit(runs, seed=4, reuse=False, warm_start={"run_id": source})
    by_hand = runs.get(named)
    assert (by_hand.spec, by_hand.spec_hash) == (ready.spec, ready.spec_hash), "as if the source was submitted by hand"


@pytest.mark.parametrize(
    ("start", "seed", "split"),
    [({}, 4, 7), ({"seed": 1}, 1, 0), ({"seed": 1, "paired": True}, 4, 7), ({"paired": False}, 0, 0)],
)
def test_source_is_paired_unless_its_spec_has_a_seed(runs: Runs, start: dict[str, Any], seed: int, split: int) -> None:
    spec = {**OTHER, **{name: value for name, value in start.items() if name == "seed"}}
    paired = {name: value for name, value in start.items() if name == "paired"}
    dataset = {**BODY["dataset"], "split_seed": 7}
    source = runs.get(source_id(runs, submit(runs, seed=4, dataset=dataset, warm_start={"spec": spec, **paired})))
    assert (source.spec["seed"], source.spec["dataset"]["split_seed"]) == (seed, split)


def test_source_has_the_fold_of_the_run(runs: Runs) -> None:
    fold = {"index": 1, "of": 4}
    dataset = {"kind": "digits", "train_size": 100, "fold": fold}
    source = runs.get(source_id(runs, submit(runs, dataset=dataset, warm_start={"spec": OTHER})))
    assert (source.spec["dataset"]["fold"], source.spec["dataset"]["validation_size"]) == (fold, 0)


def test_equal_sources_are_one_run_and_a_finished_one_is_reused(runs: Runs, jobs: Jobs) -> None:
    first, second = (submit(runs, seed=1, epochs=epochs, warm_start={"spec": OTHER}) for epochs in (2, 3))
    assert source_id(runs, first) == source_id(runs, second)
    other = submit(runs, seed=2, warm_start={"spec": OTHER})
    assert source_id(runs, other) != source_id(runs, first)
    for claim in jobs.claim(WORKER, limit=8):
        end(jobs, claim)
    later = submit(runs, seed=1, epochs=4, warm_start={"spec": OTHER})
    assert (runs.get(later).status, source_id(runs, later)) == ("queued", source_id(runs, first))
    fresh = submit(runs, seed=1, epochs=4, reuse=False, warm_start={"spec": OTHER})
    assert runs.get(fresh).status == "waiting"


def test_chain_of_sources_and_a_teacher_are_trained_in_order(runs: Runs, jobs: Jobs) -> None:
    middle = {**OTHER, "epochs": 4, "warm_start": {"spec": OTHER}}
    warm = submit(runs, seed=6, warm_start={"spec": middle}, regularizers=distill({"spec": {**OTHER, "seed": 9}}))
    order = []
    for shas in ("ab", "c", "d"):
        claims = jobs.claim(WORKER, limit=8)
        for claim, sha in zip(claims, shas, strict=True):
            order.append(claim.run_id)
            end(jobs, claim, sha=sha)
    assert order[-1] == warm
    second = source_id(runs, warm)
    first = source_id(runs, second)
    assert order[:2].count(first) == 1
    assert order[2] == second
    assert [runs.get(one).seed for one in (first, second, warm)] == [6, 6, 6]
    assert runs.get(warm).status == "succeeded"
    assert start_of(runs.get(warm))["sha256"] == "c" * 64


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "diverged"])
def test_run_whose_source_does_not_succeed_fails_with_the_reason(
    runs: Runs, reader: RunReader, jobs: Jobs, outcome: str
) -> None:
    last = submit(runs, seed=3, warm_start={"spec": {**OTHER, "epochs": 2, "warm_start": {"spec": OTHER}}})
    middle = source_id(runs, last)
    (claim,) = jobs.claim(WORKER, limit=8)
    if outcome == "cancelled":
        runs.act(claim.run_id, "cancel")
        end(jobs, claim, "cancelled")
    else:
        code = "diverged" if outcome == "diverged" else "out_of_memory"
        jobs.finish([claim], [Outcome(run_id=claim.run_id, status="failed", code=code, message="…")])
    verb = "was cancelled" if outcome == "cancelled" else outcome
    for run_id, cause, ended in ((middle, claim.run_id, verb), (last, middle, "failed")):
        run = runs.get(run_id)
        assert (run.status, run.error_code) == ("failed", "source_failed")
        assert run.error_message == f"The run {cause}, whose weights it starts from, {ended}."
        assert event_types(reader, run_id)[-1] == "run.failed"


def test_source_that_ends_without_the_weights_fails_the_run(runs: Runs, jobs: Jobs) -> None:
    warm = submit(runs, warm_start={"spec": OTHER, "at": "best"})
    (claim,) = jobs.claim(WORKER, limit=8)
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])
    run = runs.get(warm)
    assert (run.status, run.error_code) == ("failed", "source_failed")
    assert "has no best weights" in (run.error_message or "")


def test_cancelled_or_failed_run_is_retried_as_far_as_its_source_is(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    warm = submit(runs, warm_start={"spec": OTHER})
    runs.act(warm, "cancel")
    runs.act(warm, "retry")
    assert runs.get(warm).status == "waiting"
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim, "failed")
    with pytest.raises(TransitionRefused, match="Retry that run first"):
        runs.act(warm, "retry")
    runs.act(claim.run_id, "retry")
    runs.act(warm, "retry")
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim)
    assert runs.get(warm).status == "queued"
    runs.act(warm, "cancel")
    runs.delete(claim.run_id)
    runs.act(warm, "retry")
    assert runs.get(warm).status == "queued", "the run references the weights itself"
    assert event_types(reader, warm)[-1] == "run.queued"


def test_run_whose_source_diverged_or_was_deleted_is_not_retried(runs: Runs, jobs: Jobs) -> None:
    warm = submit(runs, warm_start={"spec": OTHER})
    (claim,) = jobs.claim(WORKER, limit=8)
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status="failed", code="diverged", message="…")])
    with pytest.raises(TransitionRefused, match=r"diverged\. Clone the run with another one"):
        runs.act(warm, "retry")
    with pytest.raises(SpecRefused, match=f"trained before, as {claim.run_id}, and diverged") as refused:
        submit(runs, epochs=2, warm_start={"spec": OTHER})
    assert (refused.value.errors[0].pointer, refused.value.errors[0].code) == ("/warm_start/spec", "source_failed")
    runs.delete(claim.run_id)
    with pytest.raises(TransitionRefused, match="was deleted"):
        runs.act(warm, "retry")


def test_run_can_wait_for_an_existing_run_and_a_clone_waits_too(runs: Runs, jobs: Jobs) -> None:
    source = submit(runs, **OTHER)
    (claim,) = jobs.claim(WORKER, limit=8)
    warm = submit(runs, seed=2, warm_start={"run_id": source, "wait": True})
    clone = submit(runs, seed=3, warm_start=start_of(runs.get(warm)))
    assert {runs.get(one).status for one in (warm, clone)} == {"waiting"}
    end(jobs, claim)
    assert {runs.get(one).status for one in (warm, clone)} == {"queued"}
    done = submit(runs, seed=4, warm_start={"run_id": source, "wait": True})
    assert start_of(runs.get(done)) == {"run_id": source, "at": "last", "sha256": "a" * 64}
    failed = submit(runs, **{**OTHER, "seed": 9})
    runs.act(failed, "cancel")
    with pytest.raises(SpecRefused, match=r"was cancelled\. Retry it") as refused:
        submit(runs, warm_start={"run_id": failed, "wait": True})
    assert (refused.value.errors[0].pointer, refused.value.errors[0].code) == ("/warm_start/run_id", "source_failed")


@pytest.mark.parametrize(
    ("start", "pointer", "message"),
    [
        (
            {"spec": {**OTHER, "model": {"kind": "mlp", "hidden": [17]}}},
            "/spec/model",
            "layers.0.weight is 17×64 there",
        ),
        ({"spec": {**OTHER, "dataset": {"kind": "mnist1d"}}}, "/spec/model", "layers.0.weight is 16×40 there"),
        ({"spec": {**OTHER, "model": {"kind": "knn"}, "optimizer": None}}, "/spec/model", "has no weights"),
        ({"spec": {**OTHER, "dataset": {"kind": "digits", "train_size": 10**6}}}, "/spec/dataset/train_size", "rows"),
        ({"spec": OTHER, "at": "averaged"}, "/at", "Only runs with averaging"),
        ({"spec": {**OTHER, "warm_start": {"run_id": f"run_{'0' * 26}"}}}, "/spec/warm_start/run_id", "does not exist"),
        ({"run_id": f"run_{'0' * 26}", "wait": True}, "/run_id", "does not exist"),
    ],
)
def test_unusable_source_is_refused_with_its_pointer_and_nothing_is_queued(
    runs: Runs, jobs: Jobs, start: dict[str, Any], pointer: str, message: str
) -> None:
    with pytest.raises(SpecRefused, match=message) as refused:
        submit(runs, warm_start=start)
    (error,) = refused.value.errors
    assert error.pointer == f"/warm_start{pointer}"
    assert jobs.claim(WORKER, limit=8) == ()


def test_run_submitted_while_its_source_finishes_is_queued(runs: Runs, jobs: Jobs) -> None:
    for attempt in range(6):
        source = submit(runs, **{**OTHER, "seed": attempt + 50})
        (claim,) = jobs.claim(WORKER, limit=8)
        created: list[str] = []

        def submit_warm(source: str = source, attempt: int = attempt, created: list[str] = created) -> None:
            created.append(submit(runs, seed=attempt, warm_start={"run_id": source, "wait": True}))

        thread = threading.Thread(target=submit_warm)
        thread.start()
        end(jobs, claim)
        thread.join()
        assert runs.get(created[0]).status == "queued"
        runs.act(created[0], "cancel")


def test_waiting_run_keeps_the_hash_of_its_result_apart_by_source(runs: Runs) -> None:
    first, second = (submit(runs, seed=1, warm_start={"spec": {**OTHER, "epochs": epochs}}) for epochs in (5, 6))
    assert runs.get(first).spec_hash != runs.get(second).spec_hash
    assert submit(runs, **body(seed=1)) not in (first, second)
