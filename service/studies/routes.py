"""Routes of studies: preview, submit, list, read, add seeds, cancel, delete, compare, diagnose, choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.errors import (
    BadCursor,
    BadRequest,
    KeyReused,
    SpecRefused,
    StorageFull,
    TooLarge,
    Unavailable,
    WrongMediaType,
)
from service.http.bodies import JsonBody
from service.http.idempotency import IdempotencyKey, created
from service.http.parameters import PageParams
from service.http.problems import problems
from service.http.routing import Route
from service.http.scopes import needs
from service.runs.errors import Sealed
from service.studies.across_schemas import AcrossDatasetsView
from service.studies.bodies import SeedsBody, StudyBody
from service.studies.choice_schemas import ChoiceView
from service.studies.comparison_schemas import ComparisonView
from service.studies.dependencies import StudiesDep
from service.studies.diagnosis_schemas import StudyDiagnosisView
from service.studies.errors import NothingToChoose, StudyActive, StudyNotFound
from service.studies.learning_curve_schemas import LearningCurvesView
from service.studies.parameters import (
    AcrossDatasetsParams,
    ChoiceParams,
    ComparisonParams,
    CreateStudyQuery,
    LearningCurveParams,
    PreviewStudyQuery,
)
from service.studies.schemas import PreviewView, StudyList, StudyView

router = APIRouter(prefix="/v1/studies", tags=["studies"], route_class=Route)


@router.post(
    "",
    operation_id="create_study",
    status_code=201,
    response_model=StudyView,
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull),
)
def create_study(
    body: JsonBody[StudyBody], query: Annotated[CreateStudyQuery, Query()], key: IdempotencyKey, studies: StudiesDep
) -> Response:
    """Queue all runs of a study in one transaction; runs that differ only in numbers train as stacks."""
    stored = studies.create(body.new_study(), render=StudyView.render, reuse=query.reuse, key=key)
    return created(stored, "/v1/studies")


@router.post(
    "/preview",
    operation_id="preview_study",
    openapi_extra=needs("read"),
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
def preview_study(
    body: JsonBody[StudyBody], query: Annotated[PreviewStudyQuery, Query()], studies: StudiesDep
) -> PreviewView:
    """Return the runs, stacks and cost of a study, and whether it can decide anything; nothing is queued."""
    return PreviewView.of(studies.preview(body.new_study(), reuse=query.reuse))


@router.get("", operation_id="list_studies", responses=problems(BadCursor, SpecRefused, Unavailable))
def list_studies(query: PageParams, studies: StudiesDep) -> StudyList:
    """List studies, newest first."""
    return StudyList.of(studies.page(limit=query.limit, after=query.after))


@router.get("/{study_id}", operation_id="get_study", responses=problems(StudyNotFound, SpecRefused, Unavailable))
def get_study(study_id: str, studies: StudiesDep) -> StudyView:
    """Return one study and the progress of its runs."""
    return StudyView.of(studies.get(study_id))


@router.delete(
    "/{study_id}",
    operation_id="delete_study",
    status_code=204,
    responses=problems(StudyNotFound, StudyActive, SpecRefused, Unavailable),
)
def delete_study(study_id: str, studies: StudiesDep) -> None:
    """Delete a study with all its runs; none of them may be active."""
    studies.delete(study_id)


@router.post(
    "/{study_id}/cancel",
    operation_id="cancel_study",
    status_code=202,
    responses={
        200: {"model": StudyView, "description": "Every run had already finished or was being cancelled."},
        **problems(StudyNotFound, SpecRefused, Unavailable),
    },
)
def cancel_study(study_id: str, studies: StudiesDep, response: Response) -> StudyView:
    """Cancel every unfinished run of a study."""
    study, changed = studies.cancel(study_id)
    response.status_code = 202 if changed else 200
    return StudyView.of(study)


@router.post(
    "/{study_id}/seeds",
    operation_id="add_seeds",
    status_code=202,
    response_model=StudyView,
    responses=problems(
        StudyNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull
    ),
)
def add_seeds(study_id: str, body: JsonBody[SeedsBody], key: IdempotencyKey, studies: StudiesDep) -> Response:
    """Train every arm with more seeds. If results were already visible, this is another look, which splits alpha."""
    study = studies.get(study_id)
    plan = StudyBody.plan_of(study.request)
    if plan.splits is not None:
        message = "The replicates of this study are splits, so seeds cannot be added. Create a study with more splits."
        raise SpecRefused.at("", "replicates_are_splits", message)
    plan = replace(plan, seeds=body.new_seeds(list(study.seeds)))
    return created(studies.add_seeds(study_id, plan, render=StudyView.render, key=key), "/v1/studies")


@router.get(
    "/{study_id}/compare",
    operation_id="compare_study",
    responses=problems(StudyNotFound, Sealed, SpecRefused, Unavailable),
)
def compare_study(study_id: str, query: ComparisonParams, studies: StudiesDep) -> ComparisonView:
    """Compare arms, paired by seed and corrected for multiple comparisons; a verdict may be `undecided`."""
    return ComparisonView.of(studies.compare(study_id, query.question()))


@router.get(
    "/{study_id}/across-datasets",
    operation_id="compare_across_datasets",
    responses=problems(StudyNotFound, Sealed, SpecRefused, Unavailable),
)
def compare_across_datasets(study_id: str, query: AcrossDatasetsParams, studies: StudiesDep) -> AcrossDatasetsView:
    """Compare the arms of a study on several datasets: aggregates, performance profiles, ranks and two verdicts."""
    return AcrossDatasetsView.of(studies.compare_across(study_id, query.question()))


@router.get(
    "/{study_id}/diagnosis",
    operation_id="diagnose_study",
    responses=problems(StudyNotFound, SpecRefused, Unavailable),
)
def diagnose_study(study_id: str, studies: StudiesDep) -> StudyDiagnosisView:
    """Diagnose each arm (fits, underfits, overfits, …) from the loss curves of all its seeds."""
    return StudyDiagnosisView.of(studies.diagnose(study_id))


@router.get(
    "/{study_id}/learning-curve",
    operation_id="fit_learning_curves",
    responses=problems(StudyNotFound, Sealed, SpecRefused, Unavailable),
)
def fit_learning_curves(study_id: str, query: LearningCurveParams, studies: StudiesDep) -> LearningCurvesView:
    """Fit a law of the metric by the number of training rows, and say whether more data would help.

    The study needs an axis `dataset.train_size` in its grid or sample.
    """
    return LearningCurvesView.of(studies.learning_curves(study_id, query.curve_query()))


@router.get(
    "/{study_id}/choice",
    operation_id="choose_arm",
    responses=problems(StudyNotFound, NothingToChoose, Sealed, SpecRefused, Unavailable),
)
def choose_arm(study_id: str, query: ChoiceParams, studies: StudiesDep) -> ChoiceView:
    """Choose an arm by its mean over folds (or seeds) and its standard error; return its spec, ready to be posted."""
    return ChoiceView.of(studies.choose(study_id, query.choice_query()))
