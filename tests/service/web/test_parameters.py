"""Query parameters of pages: misspelled ones are refused, as in the API."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service.app import PAGES
from service.web import assets
from tests.conftest import body

PARAMETERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/"): (*("state", "name", "label", "filter", "study_id", "sort", "group", "open", "selected", "after"),),
    ("GET", "/compare"): ("scale", "outliers", "smooth", "lines", "zoom", "runs", "metric"),
    ("GET", "/runs"): (),
    ("GET", "/runs/new"): ("spec", "preset", "arm", "from"),
    ("GET", "/docs"): (),
    ("GET", "/runs/{run_id}"): ("scale", "outliers", "smooth", "lines", "zoom", "x", "tab", "at"),
    ("GET", "/runs/{run_id}/report"): ("at",),
    ("GET", "/queue"): (),
    ("GET", "/settings"): (),
    ("GET", "/documentation"): ("q",),
    ("GET", "/documentation/{page:path}"): (),
    ("GET", "/studies/new"): ("study", "preset", "from"),
    ("GET", "/studies"): ("after",),
    ("GET", "/studies/{study_id}"): (
        *("scale", "outliers", "smooth", "lines", "zoom", "metric", "at", "by", "pairs", "correction", "curve", "view"),
        *("sort", "field", "split"),
    ),
    ("GET", "/studies/{study_id}/report"): (
        *("metric", "at", "epoch_by", "by", "pairs", "baseline", "correction", "curve", "band"),
    ),
    ("GET", "/reproductions"): (),
    ("GET", "/reproductions/{name}"): ("scale",),
    ("GET", "/v1/reproductions/{name}/report"): ("scale", "format"),
    ("GET", "/datasets"): ("after",),
    ("GET", "/datasets/{dataset_id}"): (),
    ("GET", "/sign-in"): ("next",),
    ("POST", "/session"): (),
    ("DELETE", "/session"): (),
}


def test_table_lists_every_page() -> None:
    routes = [route for module in PAGES if module is not assets for route in module.router.routes]
    pages = [route for route in routes if isinstance(route, APIRoute)]
    listed = {(method, route.path) for route in pages for method in route.methods or ()}
    assert listed == PARAMETERS.keys()


@pytest.mark.parametrize("page", PARAMETERS, ids=" ".join)
def test_unknown_parameter_is_refused_and_the_known_ones_are_listed(client: TestClient, page: tuple[str, str]) -> None:
    method, path = page
    address = path.replace(":path", "").format(
        run_id="run_none", study_id="study_none", dataset_id="digits", name="krogh1991", page="howto/compare"
    )
    answer = client.request(method, address, params={"zzz": 1}, follow_redirects=False)
    known = PARAMETERS[page]
    hint = f"Known: {', '.join(known)}." if known else "This route takes no parameters."
    message = f"Unknown parameter 'zzz'. {hint}"
    error = {"pointer": "zzz", "code": "unknown_parameter", "message": message, "allowed": list(known)}
    assert (answer.status_code, answer.json()["errors"]) == (422, [error])


def test_nearest_parameter_is_suggested(client: TestClient) -> None:
    answer = client.get("/", params={"filtre": "epoch > 1"})
    assert answer.json()["detail"] == "filtre: Unknown parameter 'filtre'. Did you mean 'filter'?"


def test_every_known_parameter_is_accepted(client: TestClient) -> None:
    run = client.post("/v1/runs", json=body()).json()
    study = client.post("/v1/studies", json={"name": "s", "base": body(epochs=2)}).json()
    values = {"state": "active", "filter": "epoch >= 0", "study_id": study["id"], "sort": "-epoch", "group": "arm"}
    values |= {
        "from": run["id"],
        "metric": "val.loss",
        "at": "best",
        "epoch_by": "val.loss",
        "by": "arm",
        "baseline": "base",
        "correction": "holm",
        "band": "quartiles",
    }
    for (method, path), names in PARAMETERS.items():
        params = {name: values.get(name, "") for name in names}
        if "reproductions" in path:
            params |= {name: {"scale": "full", "format": "csv"}[name] for name in names}
        address = path.replace(":path", "").format(
            run_id=run["id"], study_id=study["id"], dataset_id="penguins", name="krogh1991", page="howto/compare"
        )
        answer = client.request(method, address, params=params, follow_redirects=False)
        assert answer.status_code < 400, (path, answer.text)


def test_repeated_parameter_of_a_view_is_accepted(client: TestClient) -> None:
    study = client.post("/v1/studies", json={"name": "s", "base": body()}).json()
    params = {"by": ["arm", "seed"], "scale": ["log", "linear"]}
    assert client.get(f"/studies/{study['id']}", params=params).status_code == 200
