"""The client matches the server: error codes, fields and parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

import service.errors
from fitwell import (
    across,
    bias_variance,
    catalog,
    comparison,
    datasets,
    errors,
    history,
    importance,
    learning_curves,
    model_views,
    reproductions,
    requests,
    run,
    run_views,
    runs,
    studies,
    study,
    tokens,
    webhooks,
)
from service.app import create_app
from service.bias_variance import schemas as bias_variance_schemas
from service.bias_variance.parameters import BiasVarianceQuery
from service.catalog import routes as served_catalog
from service.catalog.presets import Preset
from service.datasets import schemas as dataset_views
from service.events import schemas as event_views
from service.http.problems import ProblemError
from service.importance import schemas as importance_schemas
from service.importance.parameters import StudyImportanceQuery
from service.models import schemas as model_schemas
from service.reproductions import definition as reproduction_definition
from service.reproductions import schemas as reproduction_views
from service.runs import history_schemas as measured_views
from service.runs import schemas as views
from service.runs.bodies import ChangeBody, RunBody
from service.runs.submission.review import review
from service.settings import Settings
from service.studies import across_schemas, comparison_schemas, learning_curve_schemas
from service.studies import choice_schemas as choice_views
from service.studies import schemas as study_views
from service.studies.bodies import StudyBody
from service.studies.parameters import AcrossDatasetsQuery, CompareStudyQuery, LearningCurveQuery
from service.tokens import schemas as token_bodies
from service.webhooks import schemas as webhook_views
from service.webhooks.bodies import EndpointBody
from service.workers import schemas as worker_views
from tests.conftest import body, spec
from tests.fitwell.samples import RUN
from worker.spec.run import RunSpec


def below(root: type[Any]) -> list[type[Any]]:
    return [root, *(kind for one in root.__subclasses__() for kind in below(one))]


OURS = [
    one
    for one in below(service.errors.Refusal)
    if one.__module__.startswith("service.") and one.__module__.endswith(".errors")
]
REFUSALS = sorted({(one.code, one.status) for one in OURS})


@pytest.mark.parametrize(("code", "status"), [one for one in REFUSALS if one[0] != "refused"])
def test_every_error_code_of_the_server_has_a_class_in_the_family_of_its_status(code: str, status: int) -> None:
    error = errors.refusal_from(status, {"code": code, "detail": "no"})
    assert (type(error).code, error.code, error.status, error.detail) == (code, code, status, "no")
    assert isinstance(error, type(errors.refusal_from(status, {"code": "of_a_newer_server"})))


SEQUENTIAL = {
    "kind": "sequential",
    "layers": [{"kind": "flatten"}, {"kind": "dense", "width": 4}, {"kind": "max_pool"}],
}
MISFIT = spec(model=SEQUENTIAL).model_dump(mode="json")


@pytest.mark.parametrize(
    ("body", "place", "pointer"),
    [
        (MISFIT, "", "/model/layers/2"),
        (MISFIT, "/runs/3", "/runs/3/model/layers/2"),
        (body(dataset={"kind": "digits", "train_size": 10**6}), "", "/dataset/train_size"),
    ],
)
def test_message_of_a_refused_spec_has_the_place_of_each_error_once(
    body: dict[str, Any], place: str, pointer: str
) -> None:
    with pytest.raises(service.errors.SpecRefused) as refused:
        review(RunSpec.of(body), Settings())
    refusal = refused.value.below(place)
    (one,) = refusal.errors
    assert f"fitwell: {message_of(refusal)}" == f"fitwell: {pointer}: {one.message}"
    several = service.errors.SpecRefused("2 things are wrong.", errors=[one, replace(one, pointer="/epochs")])
    assert message_of(several) == f"2 things are wrong.\n  {pointer}: {one.message}\n  /epochs: {one.message}"


def test_message_of_an_error_without_a_place_in_the_body_is_its_detail() -> None:
    for pointer in ("", "filter"):
        assert message_of(service.errors.SpecRefused.at(pointer, "wrong", "It is wrong.")) == "It is wrong."


def message_of(refusal: service.errors.Refusal) -> str:
    """Return the client's message of a refusal, sent as a problem."""
    listed = [ProblemError.of(error).model_dump(mode="json") for error in refusal.errors]
    return str(errors.refusal_from(refusal.status, {"code": refusal.code, "detail": refusal.detail, "errors": listed}))


def test_every_error_class_has_a_code_of_the_server() -> None:
    known = {kind.code for kind in errors.refusal_classes()} - {"refused", "internal_server_error"}
    assert known <= {code for code, _ in REFUSALS}


def test_every_error_class_is_in_the_documented_tree() -> None:
    drawn = inspect.getdoc(errors) or ""
    assert [kind.__name__ for kind in errors.refusal_classes() if kind.__name__ not in drawn] == []


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (runs.RunFields, RunBody),
        (studies.StudyFields, StudyBody),
        (run_views.RunChanges, ChangeBody),
        (webhooks.EndpointChanges, EndpointBody),
    ],
)
def test_keyword_arguments_are_the_fields_of_the_request_body(fields: Any, body: type[BaseModel]) -> None:
    assert set(get_type_hints(fields)) == set(body.model_fields)


def test_comparison_options_are_the_query_parameters_of_the_endpoint() -> None:
    assert set(get_type_hints(comparison.ComparisonOptions)) == set(CompareStudyQuery.model_fields)
    assert set(get_type_hints(across.AcrossOptions)) == set(AcrossDatasetsQuery.model_fields)
    assert set(get_type_hints(learning_curves.LearningCurveOptions)) == set(LearningCurveQuery.model_fields)
    assert set(get_type_hints(importance.ImportanceOptions)) == set(StudyImportanceQuery.model_fields)
    assert set(get_type_hints(bias_variance.BiasVarianceOptions)) == set(BiasVarianceQuery.model_fields)


VIEWS: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (run.Run, views.RunView),
    (run_views.Ended, views.EndedView),
    (run_views.Event, event_views.EventView),
    (run_views.Validation, views.Validation),
    (run_views.Diagnosis, measured_views.DiagnosisView),
    (model_views.Weights, measured_views.WeightsView),
    (model_views.Confusion, measured_views.ConfusionView),
    (model_views.Predictions, model_schemas.PredictionsView),
    (history.History, measured_views.HistoryView),
    (study.Study, study_views.StudyView),
    (studies.Preview, study_views.PreviewView),
    (comparison.Comparison, comparison_schemas.ComparisonView),
    (comparison.Group, comparison_schemas.GroupView),
    (comparison.Pair, comparison_schemas.PairView),
    (across.AcrossDatasets, across_schemas.AcrossDatasetsView),
    (across.AcrossArm, across_schemas.AcrossArmView),
    (across.AcrossPair, across_schemas.AcrossPairView),
    (across.OnTheseDatasets, across_schemas.OnTheseDatasets),
    (across.OverDatasets, across_schemas.OverDatasets),
    (across.ScaledDataset, across_schemas.ScaledDatasetView),
    (across.Ranks, across_schemas.RanksView),
    (importance.StudyImportance, importance_schemas.StudyImportanceView),
    (importance.ArmImportance, importance_schemas.ArmImportanceView),
    (importance.ArmColumn, importance_schemas.ArmColumnView),
    (bias_variance.StudyBiasVariance, bias_variance_schemas.StudyBiasVarianceView),
    (bias_variance.ArmBiasVariance, bias_variance_schemas.ArmBiasVarianceView),
    (bias_variance.LossParts, bias_variance_schemas.LossPartsView),
    (learning_curves.LearningCurves, learning_curve_schemas.LearningCurvesView),
    (learning_curves.LearningCurve, learning_curve_schemas.GroupCurveView),
    (learning_curves.SizeOfCurve, learning_curve_schemas.SizeView),
    (learning_curves.FittedLaw, learning_curve_schemas.LawView),
    (comparison.Choice, choice_views.ChoiceView),
    (datasets.Dataset, dataset_views.DatasetView),
    (tokens.Token, token_bodies.NewTokenView),
    (webhooks.Endpoint, webhook_views.EndpointSecretView),
    (webhooks.Delivery, webhook_views.DeliveryView),
    (catalog.Part, served_catalog.CatalogPart),
    (catalog.Capabilities, served_catalog.Capabilities),
    (catalog.Worker, worker_views.WorkerView),
    (catalog.Preset, Preset),
    (reproductions.Reproduction, reproduction_views.ReproductionView),
    (reproductions.ReproductionSummary, reproduction_views.ReproductionSummary),
    (reproductions.ReproductionScale, reproduction_views.ScaleView),
    (reproductions.StudyOfReproduction, reproduction_views.StudyOfReproduction),
    (reproductions.Claim, reproduction_views.ClaimView),
    (reproductions.ClaimResult, reproduction_views.ResultView),
    (reproductions.ClaimFigure, reproduction_views.FigureView),
    (reproductions.Source, reproduction_definition.Source),
]


@pytest.mark.parametrize(("known", "served"), VIEWS, ids=[known.__name__ for known, _ in VIEWS])
def test_every_field_of_a_view_is_in_the_response_of_the_server(
    known: type[BaseModel], served: type[BaseModel]
) -> None:
    assert set(known.model_fields) <= set(served.model_fields)


def test_run_has_every_field_of_the_response() -> None:
    assert set(views.RunView.model_fields) - set(run.Run.model_fields) == {"object", "attempt"}


class Recorded(Exception):
    """The first request that would have been sent."""


class RecordingTransport:
    """A transport that sends nothing."""

    def run(self, flow: requests.Flow[Any]) -> Any:
        raise Recorded(getattr(next(flow), "request", None))


STUDY: dict[str, Any] = {
    "id": "study_1", "name": None, "status": "running", "terminal": False, "metric": "val.loss", "at": "last",
    "baseline": "plain", "looks": 1, "seeds": [0], "arms": [],
    "progress": {"runs": 1, "by_status": {}, "epoch": 1, "epochs": 9},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda to: run.Run.of(to, RUN).clone({"seed": 1}),
        lambda to: run.Run.of(to, RUN).extend(5),
        lambda to: study.Study.of(to, STUDY).add_seeds(2),
        lambda to: runs.Runs(to).create_many([]),
        lambda to: studies.Studies(to).create(),
        lambda to: webhooks.Webhooks(to).create("https://example.org/hook"),
    ],
)
def test_request_that_creates_a_resource_is_repeatable_with_an_idempotency_key(
    make: Callable[[Any], Any], tmp_path: Path
) -> None:
    with pytest.raises(Recorded) as recorded:
        make(RecordingTransport())
    (request,) = recorded.value.args
    assert request.repeatable
    assert "idempotency-key" in request.headers
    described = create_app(Settings(data_dir=tmp_path)).openapi()["paths"]
    (way,) = [ways["post"] for path, ways in described.items() if "post" in ways and fits(path, request.path)]
    assert "idempotency-key" in [one["name"] for one in way["parameters"]]


def fits(described: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+_[^/]+", described), path) is not None
