"""The results of a study: comparisons, diagnoses, learning curves and the choice of an arm."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.callers import CallerScoped
from service.runs.errors import Sealed
from service.store.database import reading
from service.store.rows import Row
from service.store.statuses import SEALED
from service.studies import queries as studies
from service.studies.across import Across, AcrossQuestion, compare_across
from service.studies.choice import ChoiceQuery, Chosen, choose_arm
from service.studies.comparison import Compared, compare_groups
from service.studies.design import StudyDesign, design_of
from service.studies.diagnosis import StudyDiagnosis, diagnose_arms
from service.studies.errors import StudyNotFound
from service.studies.learning_curves import CurveQuery, LearningCurves, learning_curves
from service.studies.metrics import rows_of
from service.studies.question import Question


class StudyResults(CallerScoped):
    """The results of the studies that the caller may see. Every method is one transaction, which changes nothing."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def compare(self, study_id: str, question: Question) -> Compared:
        """Compare the study's arms, or other groups of its runs.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The metric, epoch, arm or path does not exist.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            named = (question.metric, question.epoch_by, *question.curves)
            return compare_groups(connection, self._judging(connection, study_id, named), question)

    def compare_across(self, study_id: str, question: AcrossQuestion) -> Across:
        """Compare the study's arms over all its datasets.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The study has one dataset, or the metric, epoch, arm or dataset does not exist.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            named = (question.metric, question.epoch_by)
            return compare_across(connection, self._judging(connection, study_id, named), question)

    def diagnose(self, study_id: str) -> StudyDiagnosis:
        """Diagnose every arm from the loss curves of its seeds.

        Raises:
            StudyNotFound: No study has this id.
        """
        with reading(self._engine) as connection:
            return diagnose_arms(connection, self._judging(connection, study_id))

    def design(self, study_id: str, names: Sequence[str]) -> StudyDesign:
        """Return the runs of the study by arm and replicate, to measure the series ``names`` of their models.

        Raises:
            StudyNotFound: No study has this id.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            return design_of(connection, self._judging(connection, study_id, names))

    def learning_curves(self, study_id: str, query: CurveQuery) -> LearningCurves:
        """Fit the learning curves of a study with several sizes of the training set.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The study has no axis of sizes, or the metric or epoch does not exist.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            study = self._judging(connection, study_id, (query.metric, query.epoch_by))
            return learning_curves(connection, study, query)

    def choose(self, study_id: str, query: ChoiceQuery) -> Chosen:
        """Choose an arm, and return its spec.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: The metric, epoch or order does not exist, or the choice would use the test set.
            NothingToChoose: The study's runs do not allow a choice yet.
            Sealed: The study is tuned, and its search may not use the test part.
        """
        with reading(self._engine) as connection:
            return choose_arm(connection, self._judging(connection, study_id, (query.metric, query.epoch_by)), query)

    def _row(self, connection: sa.Connection, study_id: str, *, lock: bool = False) -> Row:
        """Return the stored study if the caller may see it."""
        row = studies.by_id(connection, study_id, lock=lock)
        if row is None or not self.caller.sees(row.owner):
            raise StudyNotFound(f"No study has the id {study_id!r}. GET /v1/studies lists all studies.")
        return row

    def _judging(self, connection: sa.Connection, study_id: str, names: Sequence[str | None] = ()) -> Row:
        """Return the study whose results decide: a tuned one's confirmation once it exists, else the study itself.

        Raises:
            StudyNotFound: No study has this id.
            Sealed: One of the series ``names`` is of the test part, and the choice is not confirmed yet.
        """
        row = self._row(connection, study_id)
        if row.tuning_phase is None:
            return row
        confirmation = studies.confirmations(connection, [study_id]).get(study_id)
        if confirmation is None and (sealed := [name for name in names if name and rows_of(name) == "test"]):
            raise Sealed(_sealed(row, sealed[0]))
        return row if confirmation is None else confirmation


def _sealed(study: Row, metric: str) -> str:
    """Return why a tuned study without a confirmation has no values of a metric of the test part."""
    if study.tuning_phase in SEALED:
        return (
            f"{metric!r} is sealed until the search has ended and its choice is frozen: the study is "
            f"{study.tuning_phase}. The confirmation measures it. Until then, use a metric such as val.loss."
        )
    ended = "was deleted." if study.stop_reason is None else f"does not exist: {study.stop_reason}"
    return f"{metric!r} is measured by the confirmation, which {ended} Use a metric such as val.loss."
