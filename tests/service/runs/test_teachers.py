"""Students and their teachers in the queue, on both databases: who waits for whom, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.errors import TransitionRefused
from service.runs.reader import RunReader
from service.runs.run import Run
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import writing
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured, submit
from worker.ports import Claim, Outcome, WeightsFile
from worker.spec.regularizers.distillation import Distillation
from worker.spec.run import RunSpec

BIG = body(model={"kind": "mlp", "hidden": [24]}, seed=1)


def learning(*teachers: Mapping[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [{"kind": "distillation", "teachers": list(teachers), **fields}]


def end(jobs: Jobs, claim: Claim, status: Any = "succeeded", *, sha: str = "a") -> None:
    """Record an epoch, leave weights and end so."""
    jobs.started([claim], device="cpu", determinism_class="cpu/test")
    if status == "succeeded":
        jobs.record([claim], [measured(claim.run_id, 1)])
        files = [
            WeightsFile(at=at, epoch=1, path=f"{claim.run_id}/{at}", sha256=sha * 64, bytes=5)
            for at in ("best", "last")
        ]
        jobs.checkpointed([claim], {}, {claim.run_id: files})
    code = "out_of_memory" if status == "failed" else None
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status=status, code=code, message="…")])


def finished(runs: Runs, jobs: Jobs, *, sha: str = "a", **changes: Any) -> str:
    run_id = submit(runs, reuse=False, **{**BIG, **changes})
    (claim,) = jobs.claim(WORKER, limit=1)
    assert claim.run_id == run_id
    end(jobs, claim, sha=sha)
    return run_id


def teachers(run: Run) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = run.spec["regularizers"][0]["teachers"]
    return listed


def told(reader: RunReader, run_id: str) -> list[str]:
    return [event.type for event in reader.events(run_id)]


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


def test_equal_teachers_are_one_run_and_one_that_has_finished_is_used(runs: Runs, jobs: Jobs) -> None:
    students = [
        submit(runs, seed=seed, regularizers=learning({"spec": BIG}, {"spec": BIG, "at": "best"})) for seed in (1, 2)
    ]
    named = {teacher["run_id"] for student in students for teacher in teachers(runs.get(student))}
    assert len(named) == 1
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim)
    later = submit(runs, seed=3, regularizers=learning({"spec": BIG}))
    assert (runs.get(later).status, teachers(runs.get(later))[0]["run_id"]) == ("queued", claim.run_id)
    anew = submit(runs, seed=3, reuse=False, regularizers=learning({"spec": BIG}))
    assert runs.get(anew).status == "waiting"


def test_assistants_of_different_teachers_are_different_runs_although_they_wait(runs: Runs, jobs: Jobs) -> None:
    first, second = submit(runs, **BIG), submit(runs, **{**BIG, "seed": 2})
    students = [
        submit(runs, regularizers=learning({"spec": {**BIG, "regularizers": learning({"run_id": one})}}))
        for one in (first, second)
    ]
    assert len({teachers(runs.get(student))[0]["run_id"] for student in students}) == 2


def test_equal_students_of_equal_teachers_share_a_result_whoever_taught_them(runs: Runs, jobs: Jobs) -> None:
    one, same = finished(runs, jobs), finished(runs, jobs)
    student = submit(runs, regularizers=learning({"run_id": one, "at": "last"}))
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim, sha="c")
    again = submit(runs, regularizers=learning({"run_id": same, "at": "best"}))
    assert runs.get(again).reused_from == student
    other = submit(runs, regularizers=learning({"run_id": finished(runs, jobs, sha="d")}))
    assert runs.get(other).reused_from is None


def test_a_teachers_file_stays_as_long_as_a_student_points_at_it(runs: Runs, jobs: Jobs, settings: Settings) -> None:
    teacher = finished(runs, jobs)
    folder: Path = settings.checkpoints / teacher
    folder.mkdir(parents=True)
    for name in ("best", "last"):
        (folder / name).write_bytes(b"five!")

    def there() -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    student = submit(runs, regularizers=learning({"run_id": teacher}))
    runs.delete(teacher)
    assert there() == ["best"], "one of two files of the same content is enough"
    named = teachers(runs.get(student))[0]
    clone = submit(runs, seed=8, regularizers=learning(named))
    runs.act(student, "cancel")
    runs.delete(student)
    assert there() == ["best"]
    (claim,) = jobs.claim(WORKER, limit=8)
    assert [file.path for file in claim.weights] == [f"{teacher}/best"]
    end(jobs, claim)
    runs.delete(clone)
    assert there() == []


@pytest.mark.parametrize(
    ("teacher", "field", "code", "says"),
    [
        ({"run_id": f"run_{'0' * 26}"}, "run_id", "run_not_found", "does not exist"),
        ({"run_id": "there", "sha256": "f" * 64}, "sha256", "no_weights", "Omit sha256"),
        (
            {"run_id": "there", "sha256": "a" * 64, "network": {"model": {"kind": "linear"}}},
            "network",
            "other_model",
            "do not fit this network",
        ),
        ({"run_id": "there", "data": "mnist1d"}, "run_id", "other_data", "rows of shape"),
        ({"run_id": "neighbours"}, "run_id", "no_network", "has no logits"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused_at_its_place(
    runs: Runs, jobs: Jobs, teacher: dict[str, Any], field: str, code: str, says: str
) -> None:
    teacher = dict(teacher)
    data = teacher.pop("data", "digits")
    if teacher["run_id"] == "there":
        teacher["run_id"] = finished(runs, jobs)
    if teacher["run_id"] == "neighbours":
        teacher["run_id"] = submit(runs, model={"kind": "knn"}, optimizer=None, epochs=5, batch_size=64)
    dataset = {"kind": data, "train_size": 100, "validation_size": 60}
    with pytest.raises(SpecRefused, match=says) as refused:
        submit(runs, dataset=dataset, regularizers=learning(teacher))
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == (f"/regularizers/0/teachers/0/{field}", code)


def test_a_spec_that_cannot_be_trained_is_refused_and_nothing_is_queued(runs: Runs, jobs: Jobs) -> None:
    bad = {**BIG, "dataset": {"kind": "digits", "train_size": 10**6}}
    assistant = {**BIG, "regularizers": learning({"spec": {**BIG, "seed": 7}}, {"spec": bad})}
    with pytest.raises(SpecRefused) as refused:
        submit(runs, regularizers=learning({"spec": assistant}))
    (error,) = refused.value.errors
    inner = "/regularizers/0/teachers/0/spec/regularizers/0/teachers/1/spec/dataset/train_size"
    assert (error.pointer, error.code) == (inner, "incompatible")
    assert jobs.claim(WORKER, limit=8) == ()


def test_a_teacher_known_to_diverge_is_refused(runs: Runs, jobs: Jobs) -> None:
    submit(runs, **BIG)
    (claim,) = jobs.claim(WORKER, limit=8)
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status="failed", code="diverged", message="…")])
    with pytest.raises(SpecRefused, match="diverged") as refused:
        submit(runs, regularizers=learning({"spec": BIG}))
    assert refused.value.errors[0].pointer == "/regularizers/0/teachers/0/spec"


def test_a_run_that_diverged_teaches_with_its_best_epoch_only(runs: Runs, jobs: Jobs) -> None:
    wild = submit(runs, **BIG)
    (claim,) = jobs.claim(WORKER, limit=8)
    files = [
        WeightsFile(at="best", epoch=1, path="best", sha256="a" * 64, bytes=5),
        WeightsFile(at="last", epoch=2, path="last", sha256="b" * 64, bytes=5),
    ]
    jobs.checkpointed([claim], {}, {wild: files})
    jobs.finish([claim], [Outcome(run_id=wild, status="failed", code="diverged", message="…")])
    with pytest.raises(SpecRefused, match="not finite"):
        submit(runs, regularizers=learning({"run_id": wild}))
    student = submit(runs, regularizers=learning({"run_id": wild, "at": "best"}))
    assert teachers(runs.get(student))[0]["sha256"] == "a" * 64


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


def test_a_student_shares_a_stack_with_runs_that_learn_from_nobody(runs: Runs, jobs: Jobs) -> None:
    teacher = finished(runs, jobs)
    submit(runs, seed=4)
    submit(runs, seed=4, regularizers=learning({"run_id": teacher}))
    submit(runs, seed=4, regularizers=learning({"run_id": teacher}, temperature=2.0, method="decoupled"))
    assert len(jobs.claim(WORKER, limit=8)) == 3


def test_a_resolved_spec_is_read_back_as_it_is(runs: Runs, jobs: Jobs) -> None:
    student = submit(runs, regularizers=learning({"run_id": finished(runs, jobs)}))
    spec = RunSpec.of(runs.get(student).spec)
    (part,) = spec.regularizers
    assert isinstance(part, Distillation)
    assert part.teachers[0].network is not None
