"""References to teachers, on both databases: by run, by content and by spec, shared, stored and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.errors import SpecRefused
from service.runs.service import Runs
from service.settings import Settings
from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured, submit
from tests.service.runs.teachers import BIG, distill, end, finished, teachers
from worker.ports import Claim, Outcome, WeightsFile
from worker.spec.regularizers.distillation import Distillation
from worker.spec.run import RunSpec


def test_equal_teachers_are_one_run_and_a_finished_one_is_reused(runs: Runs, jobs: Jobs) -> None:
    students = [
        submit(runs, seed=seed, regularizers=distill({"spec": BIG}, {"spec": BIG, "at": "best"})) for seed in (1, 2)
    ]
    named = {teacher["run_id"] for student in students for teacher in teachers(runs.get(student))}
    assert len(named) == 1
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim)
    later = submit(runs, seed=3, regularizers=distill({"spec": BIG}))
    assert (runs.get(later).status, teachers(runs.get(later))[0]["run_id"]) == ("queued", claim.run_id)
    unshared = submit(runs, seed=3, reuse=False, regularizers=distill({"spec": BIG}))
    assert runs.get(unshared).status == "waiting"


def test_waiting_assistants_of_different_teachers_are_different_runs(runs: Runs, jobs: Jobs) -> None:
    first, second = submit(runs, **BIG), submit(runs, **{**BIG, "seed": 2})
    students = [
        submit(runs, regularizers=distill({"spec": {**BIG, "regularizers": distill({"run_id": one})}}))
        for one in (first, second)
    ]
    assert len({teachers(runs.get(student))[0]["run_id"] for student in students}) == 2


def test_students_of_equal_weights_share_a_result_across_teacher_runs(runs: Runs, jobs: Jobs) -> None:
    one, same = finished(runs, jobs), finished(runs, jobs)
    student = submit(runs, regularizers=distill({"run_id": one, "at": "last"}))
    (claim,) = jobs.claim(WORKER, limit=8)
    end(jobs, claim, sha="c")
    again = submit(runs, regularizers=distill({"run_id": same, "at": "best"}))
    assert runs.get(again).reused_from == student
    other = submit(runs, regularizers=distill({"run_id": finished(runs, jobs, sha="d")}))
    assert runs.get(other).reused_from is None


def test_teacher_weights_are_kept_while_a_student_references_them(runs: Runs, jobs: Jobs, settings: Settings) -> None:
    teacher = finished(runs, jobs)
    folder: Path = settings.checkpoints / teacher
    folder.mkdir(parents=True)
    for name in ("best", "last"):
        (folder / name).write_bytes(b"five!")

    def file_names() -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    student = submit(runs, regularizers=distill({"run_id": teacher}))
    runs.delete(teacher)
    assert file_names() == ["best"], "one of two equal files is enough"
    named = teachers(runs.get(student))[0]
    clone = submit(runs, seed=8, regularizers=distill(named))
    runs.act(student, "cancel")
    runs.delete(student)
    assert file_names() == ["best"]
    (claim,) = jobs.claim(WORKER, limit=8)
    assert [file.path for file in claim.weights] == [f"{teacher}/best"]
    end(jobs, claim)
    runs.delete(clone)
    assert file_names() == []


@pytest.mark.parametrize(
    ("teacher", "field", "code", "message"),
    [
        ({"run_id": f"run_{'0' * 26}"}, "run_id", "run_not_found", "does not exist"),
        ({"run_id": "finished", "sha256": "f" * 64}, "sha256", "no_weights", "Omit sha256"),
        (
            {"run_id": "finished", "sha256": "a" * 64, "network": {"model": {"kind": "linear"}}},
            "network",
            "other_model",
            "do not fit this network",
        ),
        ({"run_id": "finished", "data": "mnist1d"}, "run_id", "other_data", "rows of shape"),
        ({"run_id": "knn"}, "run_id", "no_network", "has no logits"),
    ],
)
def test_unusable_teacher_is_refused_with_a_pointer(
    runs: Runs, jobs: Jobs, teacher: dict[str, Any], field: str, code: str, message: str
) -> None:
    teacher = dict(teacher)
    data = teacher.pop("data", "digits")
    if teacher["run_id"] == "finished":
        teacher["run_id"] = finished(runs, jobs)
    if teacher["run_id"] == "knn":
        teacher["run_id"] = submit(runs, model={"kind": "knn"}, optimizer=None, epochs=5, batch_size=64)
    dataset = {"kind": data, "train_size": 100, "validation_size": 60}
    with pytest.raises(SpecRefused, match=message) as refused:
        submit(runs, dataset=dataset, regularizers=distill(teacher))
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == (f"/regularizers/0/teachers/0/{field}", code)


def test_untrainable_teacher_spec_is_refused_and_nothing_is_queued(runs: Runs, jobs: Jobs) -> None:
    bad = {**BIG, "dataset": {"kind": "digits", "train_size": 10**6}}
    assistant = {**BIG, "regularizers": distill({"spec": {**BIG, "seed": 7}}, {"spec": bad})}
    with pytest.raises(SpecRefused) as refused:
        submit(runs, regularizers=distill({"spec": assistant}))
    (error,) = refused.value.errors
    inner = "/regularizers/0/teachers/0/spec/regularizers/0/teachers/1/spec/dataset/train_size"
    assert (error.pointer, error.code) == (inner, "incompatible")
    assert jobs.claim(WORKER, limit=8) == ()


def test_teacher_spec_that_diverged_before_is_refused(runs: Runs, jobs: Jobs) -> None:
    submit(runs, **BIG)
    (claim,) = jobs.claim(WORKER, limit=8)
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status="failed", code="diverged", message="…")])
    with pytest.raises(SpecRefused, match="diverged") as refused:
        submit(runs, regularizers=distill({"spec": BIG}))
    assert refused.value.errors[0].pointer == "/regularizers/0/teachers/0/spec"


def test_diverged_run_can_teach_only_with_its_best_weights(runs: Runs, jobs: Jobs) -> None:
    wild = submit(runs, **BIG)
    (claim,) = jobs.claim(WORKER, limit=8)
    files = [
        WeightsFile(at="best", epoch=1, path="best", sha256="a" * 64, bytes=5),
        WeightsFile(at="last", epoch=2, path="last", sha256="b" * 64, bytes=5),
    ]
    jobs.checkpointed([claim], {}, {wild: files})
    jobs.finish([claim], [Outcome(run_id=wild, status="failed", code="diverged", message="…")])
    with pytest.raises(SpecRefused, match="not finite"):
        submit(runs, regularizers=distill({"run_id": wild}))
    with pytest.raises(SpecRefused, match="not finite") as refused:
        submit(runs, regularizers=distill({"run_id": wild, "sha256": "b" * 64}))
    assert refused.value.errors[0].pointer == "/regularizers/0/teachers/0/sha256"
    student = submit(runs, regularizers=distill({"run_id": wild, "at": "best"}))
    assert teachers(runs.get(student))[0]["sha256"] == "a" * 64


@pytest.mark.parametrize("finished_first", [True, False])
def test_averaged_weights_of_a_teacher_reach_its_student(runs: Runs, jobs: Jobs, finished_first: bool) -> None:
    def teach(claim: Claim) -> None:
        last = WeightsFile(at="last", epoch=1, path=f"{claim.run_id}/last", sha256="a" * 64, bytes=5)
        averaged = replace(last, at="averaged", path=f"{claim.run_id}/averaged", sha256="b" * 64)
        jobs.started([claim], device="cpu", determinism_class="cpu/test")
        jobs.record([claim], [measured(claim.run_id, 1)])
        jobs.checkpointed([claim], {}, {claim.run_id: [last, averaged]})
        jobs.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])

    teacher = submit(runs, **BIG, averaging={"kind": "ema"})
    (claim,) = jobs.claim(WORKER, limit=1)
    if finished_first:
        teach(claim)
    student = submit(runs, regularizers=distill({"run_id": teacher, "at": "averaged"}))
    if not finished_first:
        assert runs.get(student).status == "waiting"
        teach(claim)
    assert runs.get(student).status == "queued"
    assert teachers(runs.get(student))[0]["sha256"] == "b" * 64
    clone = submit(runs, seed=9, regularizers=distill(teachers(runs.get(student))[0]))
    for expected in (student, clone):
        (claim,) = jobs.claim(WORKER, limit=1)
        assert (claim.run_id, [file.path for file in claim.weights]) == (expected, [f"{teacher}/averaged"])


def test_teacher_without_averaging_has_no_averaged_weights(runs: Runs, jobs: Jobs) -> None:
    with pytest.raises(SpecRefused, match="only runs with averaging") as refused:
        submit(runs, regularizers=distill({"run_id": finished(runs, jobs), "at": "averaged"}))
    (error,) = refused.value.errors
    assert (error.pointer, error.code, error.allowed) == (
        "/regularizers/0/teachers/0/at", "no_weights", ["best", "last"]
    )  # fmt: skip


def test_students_share_a_stack_with_runs_without_teachers(runs: Runs, jobs: Jobs) -> None:
    teacher = finished(runs, jobs)
    submit(runs, seed=4)
    submit(runs, seed=4, regularizers=distill({"run_id": teacher}))
    submit(runs, seed=4, regularizers=distill({"run_id": teacher}, temperature=2.0, method="decoupled"))
    assert len(jobs.claim(WORKER, limit=8)) == 3


def test_resolved_teacher_is_read_back_with_its_network(runs: Runs, jobs: Jobs) -> None:
    student = submit(runs, regularizers=distill({"run_id": finished(runs, jobs)}))
    spec = RunSpec.of(runs.get(student).spec)
    (part,) = spec.regularizers
    assert isinstance(part, Distillation)
    assert part.teachers[0].network is not None
