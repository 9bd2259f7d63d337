"""Students and their teachers in the queue, on both databases: who waits for whom, and what becomes of it."""

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
from tests.service.runs.teachers import BIG, end, finished, learning, teachers, told


def test_a_teacher_that_has_ended_is_named_by_content_and_its_student_queued(runs: Runs, jobs: Jobs) -> None:
    teacher = finished(runs, jobs)
    student = submit(runs, regularizers=learning({"run_id": teacher}))
    run = runs.get(student)
    assert run.status == "queued"
    (named,) = teachers(run)
    assert (named["run_id"], named["sha256"]) == (teacher, "a" * 64)
    assert named["network"]["model"]["hidden"] == [24]
    (claim,) = jobs.claim(WORKER, limit=1)
    assert [(file.at, file.sha256) for file in claim.weights] == [("teacher", "a" * 64)]


def test_a_student_waits_until_its_last_teacher_has_ended(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    first = submit(runs, **BIG)
    student = submit(runs, regularizers=learning({"run_id": first}, {"spec": {**BIG, "seed": 2}, "at": "best"}))
    run = runs.get(student)
    second = teachers(run)[1]["run_id"]
    assert run.status == "waiting"
    assert run.waiting_reason == f"Waiting for its teachers to finish: {first}, {second}."
    claims = jobs.claim(WORKER, limit=8)
    assert {claim.run_id for claim in claims} == {first, second}, "who waits is not claimed"
    end(jobs, claims[0])
    assert runs.get(student).status == "waiting"
    end(jobs, claims[1], sha="b")
    ready = runs.get(student)
    assert ready.status == "queued"
    assert {named["sha256"] for named in teachers(ready)} == {"a" * 64, "b" * 64}
    assert ready.spec_hash != run.spec_hash
    assert told(reader, student) == ["run.created", "run.queued"]
    (claim,) = jobs.claim(WORKER, limit=8)
    assert claim.run_id == student
    assert len(claim.weights) == 2


def test_a_chain_is_trained_link_by_link(runs: Runs, jobs: Jobs) -> None:
    assistant = {**BIG, "model": {"kind": "mlp", "hidden": [20]}, "regularizers": learning({"spec": BIG})}
    student = submit(runs, regularizers=learning({"spec": assistant}))
    order = []
    for sha in "abc":
        (claim,) = jobs.claim(WORKER, limit=8)
        order.append(claim.run_id)
        end(jobs, claim, sha=sha)
    middle = teachers(runs.get(student))[0]["run_id"]
    assert order == [teachers(runs.get(middle))[0]["run_id"], middle, student]
    assert runs.get(student).status == "succeeded"


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_teacher_that_fails_or_is_cancelled_fails_all_that_wait_for_it(
    runs: Runs, reader: RunReader, jobs: Jobs, how: str
) -> None:
    assistant = {**BIG, "regularizers": learning({"spec": {**BIG, "seed": 9}})}
    student = submit(runs, regularizers=learning({"spec": assistant}))
    (claim,) = jobs.claim(WORKER, limit=8)
    if how == "failed":
        end(jobs, claim, "failed")
    else:
        runs.act(claim.run_id, "cancel")
        end(jobs, claim, "cancelled")
    middle = teachers(runs.get(student))[0]["run_id"]
    for run_id, because in ((middle, claim.run_id), (student, middle)):
        run = runs.get(run_id)
        assert (run.status, run.error_code) == ("failed", "teacher_failed")
        assert because in (run.error_message or "")
        assert run.finished_at is not None
        assert told(reader, run_id)[-1] == "run.failed"
    assert how in (runs.get(middle).error_message or "")


def test_a_teacher_that_is_cancelled_in_the_queue_fails_its_student(runs: Runs) -> None:
    student = submit(runs, regularizers=learning({"spec": BIG}))
    runs.act(teachers(runs.get(student))[0]["run_id"], "cancel")
    assert runs.get(student).error_code == "teacher_failed"


def test_a_cancelled_student_is_no_longer_woken_and_a_retry_lets_it_wait_again(
    runs: Runs, reader: RunReader, jobs: Jobs
) -> None:
    student = submit(runs, regularizers=learning({"spec": BIG}))
    runs.act(student, "cancel")
    assert runs.get(student).status == "cancelled"
    runs.act(student, "retry")
    assert runs.get(student).status == "waiting"
    runs.act(student, "cancel")
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim)
    assert runs.get(student).status == "cancelled"
    runs.act(student, "retry")
    assert runs.get(student).status == "queued", "the teacher has ended meanwhile"
    assert told(reader, student)[-2:] == ["run.waiting", "run.queued"]


def test_a_failed_student_is_retried_after_its_teacher(runs: Runs, jobs: Jobs) -> None:
    student = submit(runs, regularizers=learning({"spec": BIG}))
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
    assert runs.get(student).status == "queued", "its weights are its own by now"


def test_a_student_whose_teacher_is_gone_says_so(runs: Runs, jobs: Jobs) -> None:
    student = submit(runs, regularizers=learning({"spec": BIG}))
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim, "failed")
    runs.delete(claim.run_id)
    with pytest.raises(TransitionRefused, match="was deleted"):
        runs.act(student, "retry")


def test_two_teachers_that_end_at_once_queue_their_student_once(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    for attempt in range(8):
        both = [{"spec": {**BIG, "seed": 100 * attempt + seed}} for seed in (1, 2)]
        student = submit(runs, seed=attempt, regularizers=learning(*both))
        claims = jobs.claim(WORKER, limit=8)
        assert len(claims) == 2
        threads = [threading.Thread(target=end, args=(jobs, claim)) for claim in claims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert runs.get(student).status == "queued"
        assert told(reader, student) == ["run.created", "run.queued"]
        runs.act(student, "cancel")


def test_a_student_that_comes_while_its_teacher_ends_is_never_left_waiting(runs: Runs, jobs: Jobs) -> None:
    for attempt in range(8):
        teacher = submit(runs, **{**BIG, "seed": attempt + 50})
        (claim,) = jobs.claim(WORKER, limit=8)
        made: list[str] = []

        def come(teacher: str = teacher, attempt: int = attempt, made: list[str] = made) -> None:
            made.append(submit(runs, seed=attempt, regularizers=learning({"run_id": teacher})))

        thread = threading.Thread(target=come)
        thread.start()
        end(jobs, claim)
        thread.join()
        assert runs.get(made[0]).status == "queued"
        runs.act(made[0], "cancel")


def test_a_teachers_end_and_its_students_are_one_transaction(
    runs: Runs, jobs: Jobs, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = submit(runs, regularizers=learning({"spec": BIG}))
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
