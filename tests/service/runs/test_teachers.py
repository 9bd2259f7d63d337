"""The queueing of students and their teachers, on both databases."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from service.runs.errors import TransitionRefused
from service.runs.reader import RunReader
from service.runs.service import Runs
from service.store.database import writing
from service.workers.jobs import Jobs
from tests.conftest import WORKER, submit
from tests.service.runs.teachers import BIG, distill, end, event_types, finished, teachers


def test_student_of_a_finished_teacher_is_queued_with_the_digest_of_its_weights(runs: Runs, jobs: Jobs) -> None:
    teacher = finished(runs, jobs)
    student = submit(runs, regularizers=distill({"run_id": teacher}))
    run = runs.get(student)
    assert run.status == "queued"
    (named,) = teachers(run)
    assert (named["run_id"], named["sha256"]) == (teacher, "a" * 64)
    assert named["network"]["model"]["hidden"] == [24]
    (claim,) = jobs.claim(WORKER, limit=1)
    assert [(file.at, file.sha256) for file in claim.weights] == [("teacher", "a" * 64)]


@pytest.mark.slow
def test_student_waits_until_its_last_teacher_has_finished(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    first = submit(runs, **BIG)
    student = submit(runs, regularizers=distill({"run_id": first}, {"spec": {**BIG, "seed": 2}, "at": "best"}))
    run = runs.get(student)
    second = teachers(run)[1]["run_id"]
    assert run.status == "waiting"
    assert run.waiting_reason == f"Waiting for its teachers to finish: {first}, {second}."
    claims = jobs.claim(WORKER, limit=8)
    assert {claim.run_id for claim in claims} == {first, second}, "waiting runs are never claimed"
    end(jobs, claims[0])
    assert runs.get(student).status == "waiting"
    end(jobs, claims[1], sha="b")
    ready = runs.get(student)
    assert ready.status == "queued"
    assert {named["sha256"] for named in teachers(ready)} == {"a" * 64, "b" * 64}
    assert ready.spec_hash != run.spec_hash
    assert event_types(reader, student) == ["run.created", "run.queued"]
    (claim,) = jobs.claim(WORKER, limit=8)
    assert claim.run_id == student
    assert len(claim.weights) == 2


def test_chain_of_teachers_is_trained_in_order(runs: Runs, jobs: Jobs) -> None:
    assistant = {**BIG, "model": {"kind": "mlp", "hidden": [20]}, "regularizers": distill({"spec": BIG})}
    student = submit(runs, regularizers=distill({"spec": assistant}))
    order = []
    for sha in "abc":
        (claim,) = jobs.claim(WORKER, limit=8)
        order.append(claim.run_id)
        end(jobs, claim, sha=sha)
    middle = teachers(runs.get(student))[0]["run_id"]
    assert order == [teachers(runs.get(middle))[0]["run_id"], middle, student]
    assert runs.get(student).status == "succeeded"


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_failed_or_cancelled_teacher_fails_every_waiting_student(
    runs: Runs, reader: RunReader, jobs: Jobs, outcome: str
) -> None:
    assistant = {**BIG, "regularizers": distill({"spec": {**BIG, "seed": 9}})}
    student = submit(runs, regularizers=distill({"spec": assistant}))
    (claim,) = jobs.claim(WORKER, limit=8)
    if outcome == "failed":
        end(jobs, claim, "failed")
    else:
        runs.act(claim.run_id, "cancel")
        end(jobs, claim, "cancelled")
    middle = teachers(runs.get(student))[0]["run_id"]
    for run_id, cause in ((middle, claim.run_id), (student, middle)):
        run = runs.get(run_id)
        assert (run.status, run.error_code) == ("failed", "teacher_failed")
        assert cause in (run.error_message or "")
        assert run.finished_at is not None
        assert event_types(reader, run_id)[-1] == "run.failed"
    assert outcome in (runs.get(middle).error_message or "")


def test_teacher_cancelled_in_the_queue_fails_its_student(runs: Runs) -> None:
    student = submit(runs, regularizers=distill({"spec": BIG}))
    runs.act(teachers(runs.get(student))[0]["run_id"], "cancel")
    assert runs.get(student).error_code == "teacher_failed"


def test_cancelled_student_stays_cancelled_until_it_is_retried(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    student = submit(runs, regularizers=distill({"spec": BIG}))
    runs.act(student, "cancel")
    assert runs.get(student).status == "cancelled"
    runs.act(student, "retry")
    assert runs.get(student).status == "waiting"
    runs.act(student, "cancel")
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim)
    assert runs.get(student).status == "cancelled"
    runs.act(student, "retry")
    assert runs.get(student).status == "queued", "the teacher has finished in the meantime"
    assert event_types(reader, student)[-2:] == ["run.waiting", "run.queued"]


def test_failed_student_can_be_retried_only_after_its_teacher(runs: Runs, jobs: Jobs) -> None:
    student = submit(runs, regularizers=distill({"spec": BIG}))
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim, "failed")
    with pytest.raises(TransitionRefused, match="Retry the teacher first"):
        runs.act(student, "retry")
    runs.act(claim.run_id, "retry")
    runs.act(student, "retry")
    assert runs.get(student).status == "waiting"
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim)
    assert runs.get(student).status == "queued"
    runs.act(student, "cancel")
    runs.delete(claim.run_id)
    runs.act(student, "retry")
    assert runs.get(student).status == "queued", "the student references the weights itself"


def test_student_whose_teacher_was_deleted_cannot_be_retried(runs: Runs, jobs: Jobs) -> None:
    student = submit(runs, regularizers=distill({"spec": BIG}))
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim, "failed")
    runs.delete(claim.run_id)
    with pytest.raises(TransitionRefused, match="was deleted"):
        runs.act(student, "retry")


def test_teachers_that_finish_concurrently_queue_their_student_once(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    for attempt in range(8):
        both = [{"spec": {**BIG, "seed": 100 * attempt + seed}} for seed in (1, 2)]
        student = submit(runs, seed=attempt, regularizers=distill(*both))
        claims = jobs.claim(WORKER, limit=8)
        assert len(claims) == 2
        threads = [threading.Thread(target=end, args=(jobs, claim)) for claim in claims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert runs.get(student).status == "queued"
        assert event_types(reader, student) == ["run.created", "run.queued"]
        runs.act(student, "cancel")


def test_student_submitted_while_its_teacher_finishes_is_queued(runs: Runs, jobs: Jobs) -> None:
    for attempt in range(8):
        teacher = submit(runs, **{**BIG, "seed": attempt + 50})
        (claim,) = jobs.claim(WORKER, limit=8)
        created: list[str] = []

        def submit_student(teacher: str = teacher, attempt: int = attempt, created: list[str] = created) -> None:
            created.append(submit(runs, seed=attempt, regularizers=distill({"run_id": teacher})))

        thread = threading.Thread(target=submit_student)
        thread.start()
        end(jobs, claim)
        thread.join()
        assert runs.get(created[0]).status == "queued"
        runs.act(created[0], "cancel")


def test_teacher_and_its_students_change_status_in_one_transaction(
    runs: Runs, jobs: Jobs, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = submit(runs, regularizers=distill({"spec": BIG}))
    (claim,) = jobs.claim(WORKER, limit=8)

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("service.workers.jobs.events.append", crash)
        with pytest.raises(KeyboardInterrupt):
            end(jobs, claim, "failed")
    with writing(engine):
        pass
    assert (runs.get(claim.run_id).status, runs.get(student).status) == ("running", "waiting")
    end(jobs, claim)
    assert runs.get(student).status == "queued"
