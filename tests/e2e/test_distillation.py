"""Students and teachers with real processes: waiting, a chain, a teacher that fails, and the bits of all that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from fitwell.run import Run
from tests.e2e.test_serve import SPEC
from tests.patience import eventually, scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
TEACHER: dict[str, Any] = {**SPEC, "model": {"kind": "mlp", "hidden": [48]}, "seed": 1}
STUDENT: dict[str, Any] = {**SPEC, "model": {"kind": "mlp", "hidden": [8]}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("distillation") / "home") as one:
        yield one


def learning(*teachers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"regularizers": [{"kind": "distillation", "teachers": list(teachers), **fields}]}


def numbers(run: Run, name: str) -> list[float]:
    values = [value for value in run.history[name] if value is not None]
    assert len(values) == run.progress.epoch
    return values


def digest(run: Run) -> Any:
    return run.model_dump()["determinism"]["digest"]


def teacher_of(served: Serving, run: Run) -> Run:
    return served.client.runs.get(run.refresh().spec["regularizers"][0]["teachers"][0]["run_id"])


def test_student_waits_for_its_teacher_and_records_its_own_losses(served: Serving) -> None:
    run = served.client.runs.create(**STUDENT, **learning({"spec": TEACHER}, alpha=0.25, beta=3.0, temperature=2.0))
    assert run.status == "waiting"
    assert run.waiting_reason is not None
    assert "its teachers" in run.waiting_reason
    done = run.wait(scaled(60))
    assert done.status == "succeeded"
    teacher = teacher_of(served, done)
    assert teacher.status == "succeeded"
    names = ("train.loss", "distillation.loss", "penalty.distillation", "train.objective")
    for of_labels, of_teachers, added, total in zip(*(numbers(done, name) for name in names), strict=True):
        assert total == pytest.approx(0.25 * of_labels + 3 * of_teachers, rel=1e-9)
        assert total == pytest.approx(of_labels + added, rel=1e-9)
    named = served.client.runs.create(
        **STUDENT, reuse=False, **learning({"run_id": teacher.id}, alpha=0.25, beta=3.0, temperature=2.0)
    ).wait(scaled(60))
    assert digest(named) == digest(done)
    plain = served.client.runs.create(**STUDENT).wait(scaled(60))
    assert digest(plain) != digest(done)
    assert done.verify(scaled(60)).outcome == "match"


def test_teaching_assistant_is_trained_between_teacher_and_student(served: Serving) -> None:
    assistant = {**SPEC, "model": {"kind": "mlp", "hidden": [24]}, **learning({"spec": {**TEACHER, "seed": 2}})}
    run = served.client.runs.create(**STUDENT, **learning({"spec": assistant})).wait(scaled(90))
    assert run.status == "succeeded"
    middle = teacher_of(served, run)
    first = teacher_of(served, middle)
    assert [one.spec["model"]["hidden"] for one in (first, middle, run)] == [[48], [24], [8]]
    assert "distillation.loss" in middle.history.series


def test_teacher_that_diverges_fails_its_student_with_a_reason(served: Serving) -> None:
    wild = {**TEACHER, "regularizers": [{"kind": "l2", "strength": 1e6}]}
    run = served.client.runs.create(**STUDENT, **learning({"spec": wild}))
    ended = eventually(lambda: run.refresh() if run.refresh().terminal else None, 30)
    assert (ended.status, ended.error["code"]) == ("failed", "teacher_failed")
    teacher = teacher_of(served, ended)
    assert teacher.error is not None
    assert teacher.error["code"] == "diverged"
    assert teacher.id in ended.error["message"]


def test_student_whose_teachers_file_is_broken_fails_alone(served: Serving) -> None:
    teacher = served.client.runs.create(**{**TEACHER, "seed": 5}).wait(scaled(60))
    for path in (served.home / "checkpoints" / teacher.id).glob("*.safetensors"):
        path.write_bytes(b"not tensors")
    arms = {"plain": {}, "taught": learning({"run_id": teacher.id})}
    study = served.client.studies.create(base={**STUDENT, "epochs": 4}, arms=arms, seeds=2)
    runs = eventually(lambda: ended_runs(served, study.id), 40)
    assert sorted((run["arm"], run["status"]) for run in runs) == [
        ("plain", "succeeded"),
        ("plain", "succeeded"),
        ("taught", "failed"),
        ("taught", "failed"),
    ]
    assert {run["error"]["code"] for run in runs if run["error"]} == {"bad_checkpoint"}


def ended_runs(served: Serving, study_id: str) -> list[dict[str, Any]] | None:
    answer = httpx2.get(f"{served.client.transport.url}/v1/runs?study_id={study_id}", timeout=scaled(30))
    runs: list[dict[str, Any]] = answer.json()["data"]
    return runs if all(run["terminal"] for run in runs) else None


def test_students_of_a_study_share_a_stack_and_their_teacher_is_trained_once(served: Serving) -> None:
    spec = {"spec": {**TEACHER, "seed": 7}}
    arms = {
        "plain": {},
        "soft": learning(spec),
        "decoupled": learning(spec, method="decoupled"),
        "annealed": learning(spec, curriculum={"temperature": 1.0, "epochs": 4}),
    }
    study = served.client.studies.create(base={**STUDENT, "epochs": 4}, arms=arms, seeds=2)
    runs = eventually(lambda: ended_runs(served, study.id), 60)
    assert {run["status"] for run in runs} == {"succeeded"}
    taught = [run for run in runs if run["spec"]["regularizers"]]
    assert {run["stack"]["size"] for run in taught} == {6}
    named = {run["spec"]["regularizers"][0]["teachers"][0]["run_id"] for run in taught}
    assert len(named) == 1
