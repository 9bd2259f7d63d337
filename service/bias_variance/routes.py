"""The route of bias and variance of a study's arms."""

from __future__ import annotations

from fastapi import APIRouter

from service.bias_variance.dependencies import BiasVariancesDep
from service.bias_variance.parameters import BiasVarianceParams
from service.bias_variance.schemas import StudyBiasVarianceView
from service.errors import SpecRefused, TookTooLong, Unavailable, Unprocessable
from service.http.problems import problems
from service.http.routing import Route
from service.models.errors import FileLost
from service.runs.errors import NotMeasured, Sealed
from service.studies.errors import StudyNotFound

router = APIRouter(prefix="/v1/studies", tags=["studies"], route_class=Route)


@router.get(
    "/{study_id}/bias-variance",
    operation_id="get_study_bias_variance",
    responses=problems(
        StudyNotFound, NotMeasured, FileLost, Sealed, SpecRefused, Unprocessable, Unavailable, TookTooLong
    ),
)
async def get_study_bias_variance(
    study_id: str, query: BiasVarianceParams, bias_variances: BiasVariancesDep
) -> StudyBiasVarianceView:
    """Return bias and variance of each arm: the parts of its mean test loss over its finished runs.

    Runs are predicted for some seconds in each request. If `pending` is not zero, send the request again.
    """
    return StudyBiasVarianceView.of(await bias_variances.of_study(study_id, query.at, query.arm))
