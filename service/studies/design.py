"""The runs of a study in its design: by arm, replicate and cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.states import TERMINAL
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.looks import ALPHA
from service.studies.measurements import Slot, assign_slots
from service.studies.replicates import replicate_numbers
from service.studies.schedule import schedule_of
from service.studies.study_data import replicate_design
from service.studies.variance import sources_of_variation


@dataclass(frozen=True, kw_only=True)
class StudyDesign:
    """The runs of a study, in the order in which they were queued."""

    study_id: str
    at: str
    """The epoch at which the study is compared."""
    arms: Sequence[str]
    slots: Sequence[Slot]
    expected: Collection[int]
    """The replicates that every arm is expected to have; empty in a sequential study, whose arms end at different
    looks."""
    alpha: float
    generalizes_over: Sequence[str]
    complete: bool

    def select_arms(self, requested: Collection[str]) -> Sequence[str]:
        """Return the requested arms in the order of the study; all of them by default.

        Raises:
            SpecRefused: The study has no such arm.
        """
        for arm in requested:
            if arm not in self.arms:
                message = f"Unknown arm {arm!r}. The arms are {', '.join(map(repr, self.arms))}."
                raise SpecRefused.at("arm", "no_such_arm", message, allowed=list(self.arms))
        return [arm for arm in self.arms if not requested or arm in requested]


def design_of(connection: sa.Connection, study: Row) -> StudyDesign:
    """Return the runs of a study in its design."""
    design = replicate_design(study)
    splits = design.seeds_within_split is not None
    runs = studies.runs_of(connection, study.id, folds=design.folds is not None, splits=splits)
    return StudyDesign(
        study_id=study.id,
        at=study.at,
        arms=[arm["id"] for arm in study.arms],
        slots=assign_slots(runs, [(run.arm, "") for run in runs], design),
        expected=replicate_numbers(study.request, study.seeds) if schedule_of(study.request) is None else (),
        alpha=ALPHA / study.looks,
        generalizes_over=sources_of_variation(connection, study),
        complete=all(run.status in TERMINAL for run in runs),
    )
