"""Refused requests: exact pointers, and what would work."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request

from service.errors import BadRequest, SpecRefused
from service.http.bodies import read_json
from service.http.validation import MAX_ERRORS
from service.runs.bodies import RunBody
from service.runs.submission.review import review, run_bytes
from service.settings import Settings
from tests.conftest import BODY, body, spec
from tests.service.runs.requests import post
from worker.spec.optimizers import KINDS as OPTIMIZERS

CONV = {"kind": "conv2d", "channels": 4, "stride": 2}


def layers(*of: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Changes to a body for a model of these layers."""
    return {"model": {"kind": "sequential", "layers": [*of]}, **changes}


def inside(*of: dict[str, Any]) -> dict[str, Any]:
    """A layer that contains layers."""
    return {"kind": "residual", "layers": [*of]}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"dataset": {"kind": "digts"}}, "/dataset/kind", "'digits'"),
    ({"dataset": {}}, "/dataset", "kind"),
    ({"model": {"kind": "mlp", "hiden": [3]}}, "/model/hiden", "'hidden'"),
    ({"model": {"kind": "mlp", "hidden": []}}, "/model/hidden", "at least 1"),
    ({"model": {"kind": "mlp", "hidden": [16, 0]}}, "/model/hidden/1", "greater than or equal to 1"),
    ({"model": {"kind": "mlp", "hidden": [10**9]}}, "/model", "50,000,000"),
    ({"model": {"kind": "mlp", "init": "normal"}}, "/model/init", 'Write {"kind": "normal", "std": 0.01}'),
    ({"model": {"kind": "mlp", "init": "he_nrmal"}}, "/model/init", "he_uniform, he_normal. Did you mean 'he_normal'?"),
    ({"model": {"kind": "mlp", "init": None}}, "/model/init", "one of torch"),
    ({"model": {"kind": "mlp", "init": {"kind": "norm", "std": 1}}}, "/model/init/kind", "Did you mean 'normal'"),
    ({"model": {"kind": "mlp", "init": {"kind": "normal"}}}, "/model/init/std", "required"),
    ({"model": {"kind": "mlp", "init": {"kind": "normal", "std": 0}}}, "/model/init/std", "greater than 0"),
    ({"model": {"kind": "mlp", "init": {"kind": "normal", "std": 1, "sd": 2}}}, "/model/init/sd", "'std'"),
    ({"optimizer": {"kind": "sgd"}}, "/optimizer/lr", "required"),
    ({"optimizer": {"kind": "sgd", "lr": "0.1"}}, "/optimizer/lr", "number"),
    ({"optimizer": {"kind": "sgd", "lr": True}}, "/optimizer/lr", "number"),
    ({"optimizer": {"kind": "sgd", "lr": -1}}, "/optimizer/lr", "greater than 0"),
    ({"regularizers": [{"kind": "dropout", "p": 1.5}]}, "/regularizers/0/p", "less than or equal to 0.99"),
    ({"regularizers": {"kind": "l2"}}, "/regularizers", "array"),
    ({"epochs": 0}, "/epochs", "greater than or equal to 1"),
    ({"epochs": 2.5}, "/epochs", "integer"),
    ({"epochs": 10**30}, "/epochs", "less than or equal"),
    ({"seed": -1}, "/seed", "greater than or equal to 0"),
    ({"surprise": 1}, "/surprise", "Unknown field"),
    ({"labels": {"a": 1}}, "/labels/a", "string"),
    ({"device": "abacus"}, "/device", "cuda"),
    ({"dataset": {"kind": "digits", "validation_size": 1442}}, "/dataset/validation_size", "leave none"),
    (
        {"dataset": {"kind": "mnist1d"}, "regularizers": [{"kind": "rotation", "degrees": 5}]},
        "/regularizers/0",
        "images",
    ),
    ({"model": {"kind": "linear"}, "regularizers": [{"kind": "dropout"}]}, "/regularizers/0", "hidden layer"),
    (layers(CONV), "/model/layers/0/padding", "'same'"),
    (layers({"kind": "flatten"}, regularizers=[{"kind": "dropout"}]), "/regularizers/0", "layer of kind 'dropout'"),
    (layers(inside(inside({"kind": "max_pool", "size": 9}))), "/model/layers/0/layers/0/layers/0/size", "1 × 8 × 8"),
    (layers(inside({"kind": "conv2d"})), "/model/layers/0/layers/0/channels", "required"),
    (layers(inside({"kind": "conv3d"})), "/model/layers/0/layers/0/kind", "'conv2d'"),
    (layers({"kind": "residual", "layers": []}), "/model/layers/0/layers", "at least 1 item, not 0"),
    (layers(*[{"kind": "relu"}] * 257), "/model/layers", "at most 256 items, not 257"),
    (layers({"kind": "flatten"}, {"kind": "batch_norm"}, batch_size=1), "/model/layers/1", "at least 2 rows"),
    (
        layers(functools.reduce(lambda inner, _: inside(inner), range(90), {"kind": "relu"})),
        "/model/layers",
        "91 levels",
    ),
    (
        {"regularizers": [{"kind": "random_choice", "of": [{"kind": "blur"}, {"kind": "l2", "strength": 1.0}]}]},
        "/regularizers/0/of/1",
        "beside random_choice",
    ),
    ({"stop": [{"kind": "early_stopping", "metric": "val.los"}]}, "/stop/0/metric", "'val.loss'"),
    ({"optimizer": {"kind": "lbfgs", "lr": 1.0}}, "/batch_size", "at least 100, or use another optimizer"),
]


@pytest.mark.parametrize(
    ("changes", "pointer", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_invalid_body_is_refused_with_a_pointer_and_a_remedy(
    client: TestClient, changes: dict[str, Any], pointer: str, message: str
) -> None:
    answer = post(client, body(**changes))
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert {"type", "title", "status", "detail", "code", "request_id", "errors"} == set(problem)
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert message in error["message"]
    assert client.get("/v1/runs").json()["data"] == []


@pytest.mark.parametrize(
    ("hidden", "message"),
    [([], "This must have at least 1 item, not 0."), ([8] * 33, "This must have at most 32 items, not 33.")],
)
def test_list_of_another_length_is_refused_with_the_limit(client: TestClient, hidden: list[int], message: str) -> None:
    (error,) = post(client, body(model={"kind": "mlp", "hidden": hidden})).json()["errors"]
    assert error == {**error, "pointer": "/model/hidden", "message": message}


def test_unknown_kind_is_refused_with_the_existing_ones(client: TestClient) -> None:
    (error,) = post(client, body(optimizer={"kind": "adma", "lr": 1})).json()["errors"]
    assert error["allowed"] == sorted(OPTIMIZERS)
    assert "Did you mean 'adam'?" in error["message"]


def test_all_invalid_fields_are_listed_at_once(client: TestClient) -> None:
    problem = post(client, body(epochs=0, seed=-1, dataset={"kind": "x"})).json()
    assert {error["pointer"] for error in problem["errors"]} == {"/epochs", "/seed", "/dataset/kind"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_number_that_is_not_finite_is_refused(client: TestClient, number: str) -> None:
    text = json.dumps(body(optimizer={"kind": "sgd", "lr": 0.5})).replace("0.5", number)
    json_type = {"content-type": "application/json"}
    answer = client.post("/v1/runs", content=text, headers=json_type)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/optimizer/lr")
    path = f"/v1/runs/{post(client).json()['id']}"
    answer = client.patch(path, content=f'{{"max_seconds": {number}}}', headers=json_type)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/max_seconds")


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, "bad_request"),
        (b"", {}, 400, "bad_request"),
        (b"\xff\xfe", {}, 400, "bad_request"),
        (b"[]", {}, 422, "invalid_request"),
        (b"null", {}, 422, "invalid_request"),
        (b"[" * 10_000, {}, 400, "bad_request"),
        (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b" " * 1_000_001, {}, 413, "body_too_large"),
    ],
    ids=["cut", "empty", "no UTF-8", "array", "null", "deep", "plain text", "large"],
)
def test_body_of_another_type_is_refused(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.post("/v1/runs", content=content, headers={"content-type": "application/json", **headers})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_only_the_first_hundred_errors_are_listed(client: TestClient) -> None:
    problem = post(client, body(**{f"x{number}": 1 for number in range(3000)})).json()
    assert problem["detail"] == "3,000 errors; these are the first."
    assert [error["pointer"] for error in problem["errors"]] == [f"/x{number}" for number in range(MAX_ERRORS)]


def test_spec_with_too_many_parts_is_refused_on_every_route(client: TestClient) -> None:
    choice: dict[str, Any] = {"kind": "random_choice", "of": [{"kind": "blur"}] * 16}
    large = body(regularizers=[choice] * 32)
    assert post(client, large).status_code == 201
    larger = body(regularizers=[*[choice] * 31, {"kind": "random_choice", "of": [choice] * 16}])
    for path, large_body in (
        ("/v1/runs", larger),
        ("/v1/runs/bulk", {"runs": [larger]}),
        ("/v1/studies", {"base": larger}),
        ("/v1/studies", {"base": BODY, "arms": {"a": {"regularizers_add": larger["regularizers"]}}}),
    ):
        answer = client.post(path, json=large_body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_parts")
        assert "at most 600 parts" in answer.json()["errors"][0]["message"]


def test_incomplete_body_is_refused(settings: Settings) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}, receive)
    with pytest.raises(BadRequest, match="incomplete"):
        asyncio.run(read_json(request, RunBody, settings))


def test_chunked_body_is_counted_as_it_arrives(client: TestClient) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 100_000
            yield b" " * 100_000

    answer = client.post("/v1/runs", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/runs/run_nothing", 404),
        ("GET", "/v1/runs/run_nothing/history", 404),
        ("GET", "/v1/runs/run_nothing/events", 404),
        ("POST", "/v1/runs/run_nothing/cancel", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/runs", 405),
        ("GET", "/v1/runs?limit=0", 422),
        ("GET", "/v1/runs?limit=many", 422),
        ("GET", "/v1/runs?statsu=queued", 422),
        ("GET", "/v1/runs?status=lost", 422),
        ("GET", "/v1/runs?label=novalue", 422),
        ("GET", "/v1/runs?after=rubbish", 400),
        ("GET", "/v1/events?after=-1", 422),
        ("GET", "/healthz?x=1", 422),
    ],
)
def test_every_refusal_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_safe_request_id_is_returned_and_another_is_replaced(client: TestClient) -> None:
    assert client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client.get("/healthz", headers={"x-request-id": "a b\t"}).headers["x-request-id"].startswith("req_")


def test_invalid_value_of_a_repeated_parameter_is_reported_by_name(
    client: TestClient,
) -> None:
    refused = client.get("/v1/runs", params={"status": ["queued", "lost"]}).json()
    assert refused["errors"][0]["pointer"] == "status"
    assert refused["detail"].startswith("status: ")


def test_refusal_of_a_large_model_lists_its_largest_layers() -> None:
    wide = layers(
        {"kind": "conv2d", "channels": 8}, {"kind": "residual", "layers": [{"kind": "conv2d", "channels": 8}]}
    )
    large = spec(**wide, epochs=1000)
    for limit, message in {
        "max_parameters": "Most parameters: output (dense) 5,130, layers.1 (residual) 584, layers.0 (conv2d) 80.",
        "max_run_bytes": "Most activations per row: layers.1 (residual) 1,024, layers.0 (conv2d) 512, output",
        "max_run_seconds": "Most FLOPs per row: layers.1 (residual) 75,264, output (dense) 10,260, layers.0 (conv2d)",
    }.items():
        with pytest.raises(SpecRefused) as refusal:
            review(large, Settings.model_construct(**{**Settings().model_dump(), limit: 1}))
        assert message in refusal.value.errors[0].message


def test_memory_of_lbfgs_counts_its_history() -> None:
    lbfgs = spec(optimizer={"kind": "lbfgs", "lr": 1.0, "history_size": 7}, batch_size="full")
    assert run_bytes(lbfgs) == 4 * lbfgs.parameters * (2 + 2 + 2 * 7)
    with pytest.raises(SpecRefused, match="change the optimizer: this one stores 16 times the weights"):
        review(lbfgs, Settings.model_construct(**{**Settings().model_dump(), "max_run_bytes": 1}))
