"""Guarantees of submission, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from service.errors import BadCursor, KeyReused, SpecRefused
from service.idempotency import Key
from service.runs.errors import RunNotFound
from service.runs.pages import RunQuery
from service.runs.reader import RunReader
from service.runs.run import RunMetadata
from service.runs.service import Runs
from service.runs.submission.new_run import NewRun
from service.settings import Settings
from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured, spec, submit
from tests.patience import scaled
from worker.ports import Outcome


def key(value: str = "k", body: str = "b") -> Key:
    return Key(value=value, owner="", path="/v1/runs", fingerprint=body)


def keyed(runs: Runs, of: Key, **changes: Any) -> tuple[int, str, bool]:
    answer = runs.submit(NewRun(spec=spec(**changes)), render=lambda run: json.dumps([run.id]), key=of)
    return answer.status_code, answer.body, answer.replayed


def finish(jobs: Jobs, status: str = "succeeded", code: str | None = None) -> None:
    (claim,) = jobs.claim(WORKER, limit=1)
    jobs.started([claim], device="cpu", determinism_class="test")
    jobs.record([claim], [measured(claim.run_id, number) for number in (1,)])
    jobs.record([claim], [measured(claim.run_id, 2)])
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status=status, code=code)])  # type: ignore[arg-type]


def test_repeated_key_replays_the_first_response_and_creates_no_run(runs: Runs) -> None:
    first = keyed(runs, key())
    assert keyed(runs, key()) == (first[0], first[1], True)
    assert len(runs.page(RunQuery()).runs) == 1


def test_key_with_another_body_is_refused(runs: Runs) -> None:
    keyed(runs, key())
    with pytest.raises(KeyReused):
        keyed(runs, key(body="other"))


def test_refused_submit_does_not_use_up_its_key(runs: Runs) -> None:
    with pytest.raises(SpecRefused):
        keyed(runs, key(), dataset={"kind": "digits", "validation_size": 5000})
    assert keyed(runs, key())[0] == 201


def test_concurrent_requests_with_one_key_create_one_run(runs: Runs) -> None:
    barrier, answers = threading.Barrier(6, timeout=scaled(20)), list[str]()

    def work() -> None:
        barrier.wait()
        answers.append(keyed(runs, key("concurrent"))[1])

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert len(runs.page(RunQuery()).runs) == 1


def test_expired_key_is_forgotten(settings: Settings, runs: Runs, jobs: Jobs) -> None:
    keyed(runs, key())
    impatient = Runs(runs._engine, settings.model_copy(update={"idempotency_seconds": 1e-9}))
    assert keyed(impatient, key(body="other"))[2] is False


def test_equal_finished_run_is_reused_as_a_run_of_its_own(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    original = submit(runs)
    finish(jobs)
    new = NewRun(spec=spec(), metadata=RunMetadata(name="again", labels={"a": "b"}))
    answer = runs.submit(new, render=lambda run: run.status)
    again = runs.get(answer.resource_id)
    assert (answer.status_code, answer.body, again.reused_from, again.name) == (200, "succeeded", original, "again")
    assert reader.history(again.id).series == reader.history(original).series
    assert [event.type for event in reader.events(again.id)] == ["run.created", "epoch", "epoch", "run.succeeded"]
    assert reader.events(again.id)[1].data["metrics"] == {"val.loss": 0.5}
    third = runs.submit(NewRun(spec=spec()), render=lambda run: "")
    assert runs.get(third.resource_id).reused_from == original
    assert jobs.claim(WORKER, limit=1) == ()


def test_diverged_run_counts_as_finished_and_another_failure_does_not(runs: Runs, jobs: Jobs) -> None:
    submit(runs, seed=1)
    finish(jobs, "failed", "diverged")
    again = runs.get(submit(runs, seed=1))
    assert (again.status, again.error_code) == ("failed", "diverged")
    submit(runs, seed=2)
    finish(jobs, "failed", "out_of_memory")
    assert runs.get(submit(runs, seed=2)).status == "queued"


def test_runs_that_differ_or_refuse_reuse_are_trained(runs: Runs, jobs: Jobs) -> None:
    submit(runs)
    finish(jobs)
    for run_id in (submit(runs, reuse=False), submit(runs, seed=1), submit(runs, epochs=4)):
        assert runs.get(run_id).reused_from is None
    equal_on_a_device = submit(runs, device="cpu")
    assert runs.get(equal_on_a_device).reused_from is not None


def test_equal_run_that_is_still_active_is_not_joined(runs: Runs) -> None:
    assert submit(runs) != submit(runs)
    assert all(run.reused_from is None for run in runs.page(RunQuery()).runs)


def test_pages_show_every_run_once_newest_first(runs: Runs) -> None:
    ids = [submit(runs, seed=seed) for seed in range(7)]
    listed, after = list[str](), None
    while True:
        page = runs.page(RunQuery(limit=3, after=after))
        listed += [run.id for run in page.runs]
        after = page.next_cursor
        if not page.has_more:
            break
    assert listed == ids[::-1]
    with pytest.raises(BadCursor):
        runs.page(RunQuery(after="rubbish"))


def test_runs_are_filtered_by_status_label_and_name(runs: Runs, jobs: Jobs) -> None:
    def named(name: str, **labels: str) -> str:
        new = NewRun(spec=spec(), metadata=RunMetadata(name=name, labels=labels))
        return runs.submit(new, render=lambda run: "").resource_id

    a, b = named("a", course="dl", week="1"), named("b", course="dl")
    runs.act(b, "cancel")

    def matches(**query: Any) -> set[str]:
        return {run.id for run in runs.page(RunQuery(**query)).runs}

    assert matches(label={"course": "dl"}) == {a, b}
    assert matches(label={"course": "dl", "week": "1"}) == {a}
    assert matches(label={"course": "ml"}) == set()
    assert matches(status=["cancelled"]) == {b}
    assert matches(status=["cancelled", "queued"]) == {a, b}
    assert matches(name="a") == {a}


def test_queued_run_states_why_it_waits(runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs)
    assert "fitwell worker" in (runs.get(run_id).waiting_reason or "")
    jobs.register(WORKER)
    assert runs.get(run_id).waiting_reason == "Other runs are ahead of it in the queue."
    jobs.close(WORKER)
    assert "fitwell worker" in (runs.get(run_id).waiting_reason or "")


def test_every_read_of_an_unknown_run_is_not_found(runs: Runs, reader: RunReader) -> None:
    for read in (
        runs.get,
        runs.version,
        reader.history,
        reader.events,
        lambda run_id: runs.act(run_id, "cancel"),
        reader.history_mark,
    ):
        with pytest.raises(RunNotFound):
            read("run_nothing")
