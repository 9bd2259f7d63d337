"""The route of the importance of columns over a study's runs."""

from __future__ import annotations

from fastapi import APIRouter

from service.errors import SpecRefused, TookTooLong, Unavailable, Unprocessable
from service.http.problems import problems
from service.http.routing import Route
from service.importance.dependencies import ImportancesDep
from service.importance.parameters import StudyImportanceParams
from service.importance.schemas import StudyImportanceView
from service.models.errors import FileLost
from service.runs.errors import NotMeasured, Sealed
from service.studies.errors import StudyNotFound

router = APIRouter(prefix="/v1/studies", tags=["studies"], route_class=Route)


@router.get(
    "/{study_id}/importance",
    operation_id="get_study_importance",
    responses=problems(
        StudyNotFound, NotMeasured, FileLost, Sealed, SpecRefused, Unprocessable, Unavailable, TookTooLong
    ),
)
async def get_study_importance(
    study_id: str, query: StudyImportanceParams, importances: ImportancesDep
) -> StudyImportanceView:
    """Return how much worse each arm's models get if the values of a column are permuted, over its finished runs.

    Runs are measured as by `GET /v1/runs/{id}/importance`, for some seconds in each request. If `pending` is not zero,
    send the request again.
    """
    question = query.study_question()
    return StudyImportanceView.of(await importances.of_study(study_id, question), question)
