"""References of a spec, and their replacement in place."""

from __future__ import annotations

from tests.conftest import spec
from worker.spec.references import replaced

TEACHERS = [{"run_id": f"run_{digit * 26}"} for digit in "AB"]
DISTILLATION = {"kind": "distillation", "teachers": TEACHERS, "transfer": {"dataset": {"kind": "mnist1d"}}}


def test_references_are_the_data_the_transfer_sets_and_the_teachers_with_their_places() -> None:
    run = spec(regularizers=[{"kind": "dropout"}, DISTILLATION])
    references = run.references()
    assert {place: dataset.kind for place, dataset in references.datasets.items()} == {
        ("dataset",): "digits",
        ("regularizers", 1, "transfer", "dataset"): "mnist1d",
    }
    assert [teacher.run_id for teacher in run.teachers] == [teacher["run_id"] for teacher in TEACHERS]
    assert list(references.teachers) == [("regularizers", 1, "teachers", i) for i in range(2)]


def test_replaced_value_changes_its_place_only() -> None:
    run = spec(regularizers=[{"kind": "dropout"}, DISTILLATION])
    place = ("regularizers", 1, "teachers", 1)
    first, second = run.teachers
    changed = replaced(run, place, second.model_copy(update={"at": "best"}))
    assert [teacher.at for teacher in changed.teachers] == ["last", "best"]
    assert replaced(changed, place, second) == run
    assert replaced(run, place, second) is run
    assert changed.regularizers[0] is run.regularizers[0]
    assert changed.teachers[0] is first
