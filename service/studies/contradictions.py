"""Fields of a study's body that contradict each other, and numbers that JSON cannot represent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.errors import FieldError
from service.http.validation import MAX_ERRORS
from service.pointers import pointer_to
from service.studies.expansion import DATASET, path_steps
from service.studies.replicates import Replicates
from service.studies.sampling import Choice, Space
from service.studies.schedule import Schedule
from service.studies.tuning import Tune

if TYPE_CHECKING:
    from service.studies.bodies import StudyBody

NOT_TUNED = ("arms", "grid", "sample", "seeds", "replicates", "folds", "metric", "epoch_by", "min_effect", "datasets")
"""Fields that a tuned study has no use for."""
VALIDATION = ("fold", "validation_size")
"""Fields of a dataset that choose validation rows."""


def contradictions(body: StudyBody) -> Iterator[FieldError]:
    """Yield the fields that contradict each other."""
    if body.tune is not None:
        yield from _tune_errors(body, body.tune)
    if body.schedule is not None:
        yield from _schedule_errors(body, body.schedule)
    if body.replicates is not None:
        yield from _replicate_errors(body, body.replicates)
    seeds = body.first_seeds()
    if len(set(seeds)) < len(seeds):
        yield FieldError("/seeds", "seed_twice", "The list contains a seed twice.")
    if body.grid and body.sample:
        yield FieldError("/sample", "grid_and_sample", "Send a grid or a sample, not both.")
    if body.datasets:
        yield from _dataset_errors(body)
    seeded = [f"{pointer}/seed" for pointer, run in _bodies(body).items() if "seed" in run]
    seeded += [pointer for pointer, path, _ in _paths(body) if path_steps(path) == ["seed"]]
    for pointer in seeded:
        message = "All arms have the seeds in 'seeds'; leave 'seed' out here."
        yield FieldError(pointer, "seed_elsewhere", message)
    for pointer in _splits(body, VALIDATION) if body.folds is not None else ():
        yield FieldError(pointer, "split_elsewhere", "All arms validate on the study's folds; leave this out.")


def _tune_errors(body: StudyBody, tune: Tune) -> Iterator[FieldError]:
    """Yield what is wrong with a tuned study, and fields that contradict it."""
    for name in NOT_TUNED:
        if name in body.model_fields_set:
            message = f"A tuned study has its own; leave {name!r} out, or put it into tune.arms, search or confirm."
            yield FieldError(f"/{name}", "tuned_elsewhere", message)
    if body.baseline is not None and body.baseline not in tune.arms:
        message = f"Unknown baseline {body.baseline!r}. The study has no such arm."
        yield FieldError("/baseline", "no_such_arm", message, allowed=list(tune.arms))
    yield from tune.errors(body.at)
    yield from _varied_split_errors(body, tune.schedule.split_follows_seed)
    for pointer in _unsealed(body):
        message = "The search measures nothing on the test part, the confirmation every epoch. Leave this out."
        yield FieldError(pointer, "sealed", message)


def _unsealed(body: StudyBody) -> Iterator[str]:
    """Yield pointers to what would decide whether test rows are measured."""
    for pointer, run in _bodies(body).items():
        evaluate = run.get("evaluate", {})
        if isinstance(evaluate, Mapping) and "test" in evaluate:
            yield f"{pointer}/evaluate/test"
        elif not isinstance(evaluate, Mapping):  # null removes what the base says
            yield f"{pointer}/evaluate"
    for pointer, path, _ in _paths(body):
        if path_steps(path) in (["evaluate"], ["evaluate", "test"]):
            yield pointer


def _schedule_errors(body: StudyBody, schedule: Schedule) -> Iterator[FieldError]:
    """Yield what is wrong with a schedule, and fields that contradict it."""
    yield from schedule.errors()
    yield from _varied_split_errors(body, schedule.split_follows_seed)
    if schedule.split_follows_seed and body.folds is not None:
        message = "Folds already vary the validation rows. Leave out 'folds', or vary only the seed."
        yield FieldError("/folds", "folds_and_replicates", message)


def _dataset_errors(body: StudyBody) -> Iterator[FieldError]:
    """Yield fields that contradict ``datasets``."""
    for pointer, path, _ in _paths(body):
        if path_steps(path) == [DATASET]:
            message = "Send 'datasets', which names them, or values of 'dataset' in the grid, not both."
            yield FieldError(pointer, "datasets_twice", message)
    if body.schedule is not None and len(body.datasets) > 1:
        message = (
            "A study on several datasets has a fixed number of seeds, because arms would end at different looks on "
            "each. Set a number of seeds, or submit a study for each dataset."
        )
        yield FieldError("/seeds", "sequential_datasets", message)


def _replicate_errors(body: StudyBody, replicates: Replicates) -> Iterator[FieldError]:
    """Yield what is wrong with replicates, and fields that contradict them."""
    yield from replicates.errors()
    if "seeds" in body.model_fields_set:
        message = "Send 'seeds' or 'replicates', not both: replicates have the seeds 0, 1, …"
        yield FieldError("/seeds", "seeds_and_replicates", message)
    if body.folds is not None:
        message = "Folds already vary the validation rows. Send 'folds' with 'seeds', or 'replicates' alone."
        yield FieldError("/folds", "folds_and_replicates", message)
    yield from _varied_split_errors(body, replicates.split_follows_seed or replicates.all_splits is not None)


def _varied_split_errors(body: StudyBody, varied: bool) -> Iterator[FieldError]:
    """Yield the fields that choose a split although replicates vary it."""
    for pointer in _splits(body, ("fold", "split_seed")) if varied else ():
        yield FieldError(pointer, "split_elsewhere", "The study varies the split; leave this out.")


def _splits(body: StudyBody, fields: tuple[str, ...]) -> Iterator[str]:
    """Yield pointers to the ``fields`` of datasets that choose rows themselves."""
    for name, dataset in body.datasets.items():
        yield from (pointer_to("datasets", name, field) for field in _split_in(dataset, fields))
    for pointer, run in _bodies(body).items():
        yield from (f"{pointer}/dataset/{field}" for field in _split_in(run.get("dataset"), fields))
    for pointer, path, values in _paths(body):
        steps = path_steps(path)
        whole = steps == ["dataset"] and any(_split_in(dataset, fields) for dataset in values)
        if whole or (steps[0] == "dataset" and steps[1:2] in ([field] for field in fields)):
            yield pointer


def _bodies(body: StudyBody) -> dict[str, Mapping[str, Any]]:
    """Return the base and the patches of arms, by their pointers."""
    if body.tune is not None:
        patches = {pointer_to("tune", "arms", name): patch for name, patch in body.tune.patches.items()}
    else:
        patches = {pointer_to("arms", name): patch for name, patch in body.arms.items()}
    return {"/base": body.base, **patches}


def _paths(body: StudyBody) -> Iterator[tuple[str, str, Sequence[Any]]]:
    """Yield the pointer of every path that varies between arms, the path, and its values if they are listed."""
    for path, values in body.grid.items():
        yield pointer_to("grid", path), path, values
    for path, space in (body.sample.space if body.sample else {}).items():
        yield pointer_to("sample", "space", path), path, _listed(space)
    if body.tune is not None:
        for path, space in body.tune.space.items():
            yield pointer_to("tune", "space", path), path, _listed(space)
        for name, arm in body.tune.arms.items():
            for path, space in arm.space.items():
                yield pointer_to("tune", "arms", name, "space", path), path, _listed(space)


def _listed(space: Space) -> Sequence[Any]:
    return space.values if isinstance(space, Choice) else ()


def number_errors(request: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield the places of NaN and infinity in a study's request."""
    for pointer in itertools.islice(_not_finite(request), MAX_ERRORS):
        yield FieldError(pointer, "finite_number", "This must be a finite number, not NaN or infinity.")


def _not_finite(value: Any, pointer: str = "") -> Iterator[str]:
    """Yield pointers to NaN and infinity, which JSON cannot represent."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, pointer + pointer_to(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _not_finite(inner, f"{pointer}/{i}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield pointer


def _split_in(dataset: Any, fields: tuple[str, ...]) -> list[str]:
    """Return those of the ``fields`` that a dataset's body sets."""
    return [field for field in fields if isinstance(dataset, Mapping) and dataset.get(field)]
