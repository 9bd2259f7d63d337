"""The request for a tuned study: a search with equal budgets, and the confirmation of what it chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from pydantic import Field

from service.errors import FieldError, SpecRefused
from service.http.bodies import BodyModel
from service.http.names import Label
from service.pointers import pointer_to
from service.studies.expansion import path_steps
from service.studies.looks import warnings
from service.studies.metrics import check_epoch_by, check_metric, rows_of
from service.studies.sampling import Path, Space, grid_points, points_in, shared_points
from service.studies.schedule import Schedule
from service.studies.tuning_bodies import Confirm, Search, TunedArm

POINTER = "/tune"
MAX_BUDGET = 256
MANY_OPENINGS = 20
"""Studies on one test part from which on a warning is given."""
LEARNING_RATE = ["optimizer", "lr"]


class Tune(BodyModel):
    """Arms that are tuned on equal budgets, and then compared on seeds and splits that did not choose."""

    budget: int = Field(
        ge=1, le=MAX_BUDGET, description="Trials of every arm, the plain one too; at least 2.", examples=[8]
    )
    space: dict[Path, Space] = Field(
        default={},
        max_length=16,
        description="Distributions by path of what every arm tunes, such as `optimizer.lr`; trial i has the same "
        "values in every arm.",
    )
    arms: dict[Label, TunedArm] = Field(
        min_length=1, max_length=64, description="Merge patches of the base by name, each with a `space` of its own."
    )
    search: Search = Field(default=Search(), description="How trials are chosen from each space, and by which metric.")
    confirm: Confirm = Field(default=Confirm(), description="The sequential study that compares the chosen trials.")

    @property
    def spaces(self) -> dict[str, dict[str, Space]]:
        """The space of each arm, the shared one included, by its name."""
        return {name: {**self.space, **arm.space} for name, arm in self.arms.items()}

    @property
    def patches(self) -> dict[str, Mapping[str, Any]]:
        """The merge patch of each arm, by its name."""
        return {name: arm.patch for name, arm in self.arms.items()}

    @property
    def schedule(self) -> Schedule:
        """The seeds and looks of the confirmation."""
        return self.confirm.schedule(self.search)

    @cached_property
    def trials(self) -> dict[str, list[dict[str, Any]]]:
        """The points that each arm tries, by its name; fewer than the budget if its space has fewer."""
        if self.search.method == "grid":
            return grid_points(self.spaces, n=self.budget)
        return shared_points(self.spaces, n=self.budget, method=self.search.method, seed=self.search.seed)

    def space_pointer(self, arm: str, path: str) -> str:
        """Return the pointer to the distribution of an arm's path."""
        place = ("arms", arm, "space") if path in self.arms[arm].space else ("space",)
        return POINTER + pointer_to(*place, path)

    def errors(self, at: str) -> Iterator[FieldError]:
        """Yield what is wrong with the tuned study, whose epoch is ``at``."""
        yield from self._search_errors()
        yield from self._confirm_errors(at)
        if len(self.arms) < 2:
            message = "A tuned study decides between arms, and this has one. Add an arm, or use 'sample' to tune one."
            yield FieldError(f"{POINTER}/arms", "one_arm", message)
        space_errors = list(self._space_errors())
        yield from space_errors or self._budget_errors()

    def _search_errors(self) -> Iterator[FieldError]:
        search = self.search
        pointer = f"{POINTER}/search/metric"
        if rows_of(search.metric) == "test":
            message = (
                f"The search chooses by {search.metric!r}, and the test part is sealed until the choice is frozen. "
                "Choose by val.loss, and name the test metric in confirm.metric."
            )
            yield FieldError(pointer, "sealed", message)
        elif rows_of(search.metric) != "val":
            message = f"The search cannot choose by {search.metric!r}, on which trials were trained. Use val.loss."
            yield FieldError(pointer, "not_on_validation", message)
        else:
            yield from _refused(lambda: check_metric(search.metric, pointer))
        if search.select == "one_standard_error" and search.replicates < 2:
            message = "One replicate has no standard error. Set replicates to 2 or more, or select to best."
            yield FieldError(f"{POINTER}/search/replicates", "too_few_replicates", message)

    def _confirm_errors(self, at: str) -> Iterator[FieldError]:
        confirm, schedule = self.confirm, self.schedule
        for error in schedule.errors():
            yield replace(error, pointer=error.pointer.replace("/seeds", f"{POINTER}/confirm", 1))
        if schedule.start < self.search.replicates:
            message = (
                f"The search uses the seeds 0 to {self.search.replicates - 1}; the confirmation needs others. Set "
                f"start to {self.search.replicates} or more, or leave it out."
            )
            yield FieldError(f"{POINTER}/confirm/start", "seeds_reused", message)
        yield from _refused(lambda: check_metric(confirm.metric, f"{POINTER}/confirm/metric"))
        if rows_of(confirm.metric) == "train" or (rows_of(confirm.metric) == "val" and "split" not in confirm.vary):
            message = (
                f"{confirm.metric!r} is measured on the rows that the search trained on or chose by. Confirm by "
                "test.loss, or by val.loss with vary: [seed, split]."
            )
            yield FieldError(f"{POINTER}/confirm/metric", "rows_reused", message)
        if at != "best" or confirm.epoch_by is None:
            return
        yield from _refused(lambda: check_epoch_by(confirm.epoch_by, at, f"{POINTER}/confirm/epoch_by"))
        if rows_of(confirm.epoch_by) == "test":
            message = "Epochs that are chosen on the test part make its losses too low. Use val.loss."
            yield FieldError(f"{POINTER}/confirm/epoch_by", "test_selection", message)

    def _space_errors(self) -> Iterator[FieldError]:
        """Yield arms that have nothing to tune, or not the learning rate that others tune."""
        tuned = {name: [path_steps(path) for path in space] for name, space in self.spaces.items()}
        rated = [name for name, paths in tuned.items() if LEARNING_RATE in paths]
        for name, paths in tuned.items():
            pointer = POINTER + pointer_to("arms", name)
            if not paths:
                message = (
                    f"Arm {name!r} has nothing to tune, so its trials would all be equal. Put what every arm tunes, "
                    "such as optimizer.lr, into tune.space."
                )
                yield FieldError(pointer, "nothing_to_tune", message)
            elif rated and name not in rated:
                message = (
                    f"Arm {name!r} does not tune optimizer.lr, which {rated[0]!r} does, so the other would win by its "
                    "learning rate. Put optimizer.lr into tune.space."
                )
                yield FieldError(pointer, "unequal_spaces", message)

    def _budget_errors(self) -> Iterator[FieldError]:
        """Yield why the budget cannot be spent."""
        pointer = f"{POINTER}/budget"
        if self.budget == 1:
            message = (
                "A budget of 1 chooses nothing. Use at least 2, such as 8, or send 'arms' and 'seeds' to compare "
                "arms as they are."
            )
            yield FieldError(pointer, "budget_of_one", message)
            return
        if self.search.method == "grid" and (error := self._grid_error()) is not None:
            yield FieldError(pointer, "no_grid", error)
            return
        counts = {name: len(points) for name, points in self.trials.items()}
        if (least := min(counts.values())) < self.budget:
            smallest = min(counts, key=lambda name: (counts[name], points_in(self.spaces[name])))
            message = (
                f"The space of arm {smallest!r} has only {least} different points, fewer than the budget of "
                f"{self.budget}. Every arm needs as many: lower the budget, or widen the space."
            )
            yield FieldError(pointer, "space_too_small", message)

    def _grid_error(self) -> str | None:
        """Return why a grid is impossible; None if it is possible."""
        sizes = {name: len(space) for name, space in self.spaces.items()}
        if len(set(sizes.values())) > 1:
            counted = ", ".join(f"{name!r} {size}" for name, size in sizes.items())
            return (
                f"On a grid of equal budgets, arms with more parameters try fewer learning rates (parameters: {counted}"
                "). Use the method sobol."
            )
        size = next(iter(sizes.values()))
        levels = math.floor(self.budget ** (1 / size) + 1e-9)
        if levels**size == self.budget and levels > 1:
            return None
        working = f"{max(levels, 2) ** size} or {(max(levels, 2) + 1) ** size}"
        return (
            f"A grid of {size} parameters has k^{size} points, not {self.budget}. Use a budget of {working}, or sobol."
        )


def tune_of(request: Mapping[str, Any]) -> Tune | None:
    """Return the tuning in a study's stored request; None if the study is not tuned."""
    stored = request.get("tune")
    return None if stored is None else Tune.model_validate(stored)


def tuning_warnings(tune: Tune, test_openings: Mapping[str, int]) -> list[str]:
    """Return what makes a tuned comparison weak; ``test_openings`` counts studies on the test part by dataset."""
    sentences = warnings(len(tune.arms), (), tune.schedule, 1, (), ())
    by_path: dict[str, set[str]] = {}
    for space in tune.spaces.values():
        for path, distribution in space.items():
            by_path.setdefault(".".join(path_steps(path)), set()).add(distribution.model_dump_json())
    if unequal := [path for path, distributions in by_path.items() if len(distributions) > 1]:
        sentences.append(f"Arms tune {', '.join(unequal)} over different spaces, so trials do not share its values.")
    if tune.search.select == "one_standard_error":
        sentences.append(
            "With one_standard_error, arms that tune a strength may take a trial that is worse than their best by a "
            "standard error, and other arms take their best. To compare methods, set select to best."
        )
    if rows_of(tune.confirm.metric) == "val":
        sentences.append(
            "The confirmation judges by validation rows of other splits, which the search has partly trained on or "
            "chosen by. Confirm by test.loss to judge by rows that it has not seen."
        )
    elif (most := max(test_openings.values(), default=0)) >= MANY_OPENINGS:
        sentences.append(
            f"{most} studies have judged on this test part. Each result that guides the next study fits the choice of "
            "methods to these rows a little; confirm an important finding on data that no study has used."
        )
    return sentences


def located(refusal: SpecRefused, tune: Tune) -> SpecRefused:
    """Return the refusal of a tuned study's arms with pointers into ``tune``."""
    errors = [replace(error, pointer=_pointer(error.pointer, tune)) for error in refusal.errors]
    detail = f"{errors[0].pointer}: {errors[0].message}" if len(errors) == 1 else refusal.detail
    return SpecRefused(detail, errors=errors, headers=refusal.headers)


def _pointer(pointer: str, tune: Tune) -> str:
    if pointer.startswith("/arms"):
        return POINTER + pointer
    if pointer == "/replicates":
        return f"{POINTER}/confirm/vary"
    for arm, space in tune.spaces.items():
        for path in space:
            if pointer == pointer_to("grid", path):
                return tune.space_pointer(arm, path)
    return pointer


def _refused(check: Callable[[], None]) -> Iterator[FieldError]:
    """Yield the errors of a check that raises them."""
    try:
        check()
    except SpecRefused as refusal:
        yield from refusal.errors


def trials_of(arms: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """Return the ids of the trials of an arm among a study's stored ``arms``."""
    return [arm["id"] for arm in arms if arm["name"] == name]
