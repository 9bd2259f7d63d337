"""Reproductions over HTTP: list, start, resume, verdicts, reports, owners."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from service.workers.jobs import Jobs
from tests.service.http.worlds import World, guarded, opened
from tests.service.reproductions.planted import NAME
from tests.service.studies.training import some_loss, train

pytestmark = pytest.mark.usefixtures("registry")
PATH = f"/v1/reproductions/{NAME}"


def start(client: TestClient, **body: Any) -> Any:
    return client.post(PATH, json=body)


def verdicts(view: Any) -> dict[str, str]:
    return {claim["name"]: claim["result"]["verdict"] for claim in view["claims"]}


def studies(client: TestClient) -> Any:
    return client.get("/v1/studies").json()["data"]


def statuses(client: TestClient, view: Any) -> list[str]:
    """Return the statuses of the runs of the first study."""
    query = {"study_id": view["studies"][0]["study_id"], "sort": "created_at", "limit": 100}
    return [run["status"] for run in client.get("/v1/runs", params=query).json()["data"]]


def test_list_has_claims_rules_scales_and_missing_datasets(client: TestClient) -> None:
    absent, planted = client.get("/v1/reproductions").json()["data"]
    assert (planted["name"], planted["source"]["year"], planted["object"]) == (NAME, 1999, "reproduction")
    assert [(scale, one["runs"], one["missing"]) for scale, one in planted["scales"].items()] == [
        ("quick", 32, None),
        ("full", 16, None),
    ]
    assert "fitwell data fetch mnist" in absent["scales"]["quick"]["missing"]
    rule = planted["claims"][0]["rule"]
    assert (rule["kind"], rule["arm"], rule["against"], rule["direction"]) == ("direction", "dropout", "plain", "lower")
    assert "significantly lower for 'dropout' than for 'plain'" in planted["claims"][0]["rule_text"]


def test_reproduction_that_was_not_started_has_no_results(client: TestClient) -> None:
    view = client.get(PATH).json()
    assert (view["status"], view["terminal"], view["owner"], view["started_at"]) == ("not_started", False, None, None)
    assert [study["study_id"] for study in view["studies"]] == [None, None]
    assert {claim["result"] for claim in view["claims"]} == {None}
    assert [claim["name"] for claim in client.get(PATH, params={"scale": "full"}).json()["claims"]] == [
        *("true", "false", "figure", "wrong figure", "bound"),
    ]


def test_preview_has_the_cost_and_queues_nothing(client: TestClient, work: Jobs) -> None:
    preview = client.post(f"{PATH}/preview", json={"scale": "quick"}).json()
    assert (preview["runs"], preview["max_runs"], preview["reused"]) == (32, 32, 0)
    assert preview["estimated_seconds"] > 0
    assert studies(client) == []
    start(client)
    train(client, work, some_loss)
    preview = client.post(f"{PATH}/preview", json={"scale": "quick"}).json()
    assert (preview["runs"], preview["reused"], preview["estimated_seconds"]) == (32, 32, 0)
    assert "fitwell data fetch" in client.post("/v1/reproductions/absent/preview", json={}).json()["detail"]
    assert client.post("/v1/reproductions/nonsense/preview", json={}).status_code == 404


def test_start_queues_all_studies_and_a_second_start_changes_nothing(client: TestClient) -> None:
    response = start(client, scale="quick")
    view = response.json()
    assert (response.status_code, response.headers["location"]) == (201, f"{PATH}?scale=quick")
    assert (view["status"], view["scale"], view["owner"]) == ("queued", "quick", "local")
    assert [study["progress"]["by_status"] for study in view["studies"]] == [{"queued": 16}] * 2
    assert set(verdicts(view).values()) == {"pending"}
    assert "0 of 16 runs have ended" in view["claims"][0]["result"]["explanation"]
    assert [study["name"] for study in studies(client)][::-1] == [
        "A planted reproduction: one (quick)",
        "A planted reproduction: other (quick)",
    ]
    again = start(client)
    assert (again.status_code, again.json()) == (200, view)
    assert client.get(response.headers["location"]).json() == view
    assert len(studies(client)) == 2


def test_verdicts_follow_from_the_runs_and_false_claims_are_not_reproduced(client: TestClient, work: Jobs) -> None:
    start(client)
    train(client, work, some_loss)
    view = client.get(PATH).json()
    assert (view["status"], view["terminal"]) == ("finished", True)
    assert verdicts(view) == {
        "true": "reproduced", "false": "not_reproduced", "figure": "reproduced", "wrong figure": "not_reproduced",
        "bound": "reproduced", "only quick": "reproduced",
    }  # fmt: skip
    assert view["verdicts"] == {"reproduced": 4, "not_reproduced": 2}
    runs = client.get("/v1/runs", params={"limit": 100}).json()["data"]
    assert view["finished_at"] == max(run["finished_at"] for run in runs)
    assert [(one["class"], one["runs"], one["reused"]) for one in view["trained_on"]] == [("test", 32, 0)]
    study_id = view["studies"][0]["study_id"]
    comparison = client.get(f"/v1/studies/{study_id}/compare").json()
    for claim in view["claims"]:
        result = claim["result"]
        assert (result["study_id"], result["alpha"], result["looks"], result["at"]) == (study_id, 0.05, 1, "last")
        (figure,) = result["figures"]
        if figure["against"]:
            (pair,) = comparison["pairs"]
            assert (figure["mean"], figure["ci"], figure["n"]) == (pair["mean_difference"], pair["ci"], pair["n"])
            assert (figure["p_adjusted"], figure["verdict"]) == (pair["p_adjusted"], "better")
        elif claim["name"] != "bound":
            assert (figure["mean"], figure["std"], figure["ci"]) == tuple(
                comparison["arms"][0][name] for name in ("mean", "std", "ci")
            )


def test_second_look_costs_nothing(client: TestClient, work: Jobs) -> None:
    start(client)
    train(client, work, some_loss)
    before = client.get(PATH).json()
    assert start(client).json() == before
    assert not client.get("/v1/runs", params={"status": "queued"}).json()["data"]
    for study in before["studies"]:
        assert client.delete(f"/v1/studies/{study['study_id']}").status_code == 204
    deleted = client.get(PATH).json()
    assert set(verdicts(deleted).values()) == {"pending"}
    assert "deleted" in deleted["claims"][0]["result"]["explanation"]


def test_cancelled_and_failed_runs_are_queued_again_and_diverged_ones_stay(client: TestClient, work: Jobs) -> None:
    view = start(client).json()
    ids = [study["study_id"] for study in view["studies"]]
    assert client.post(f"/v1/studies/{ids[0]}/cancel").status_code == 202
    train(client, work, lambda arm, seed, epoch: math.nan if seed == 0 else some_loss(arm, seed, epoch))
    cancelled = client.get(PATH).json()
    assert (cancelled["status"], set(verdicts(cancelled).values())) == ("finished", {"pending"})
    assert "were cancelled" in cancelled["claims"][0]["result"]["explanation"]
    assert set(statuses(client, cancelled)) == {"cancelled"}
    resumed = start(client)
    assert resumed.status_code == 200
    assert [study["study_id"] for study in resumed.json()["studies"]] == ids
    assert resumed.json()["studies"][0]["progress"]["by_status"] == {"queued": 16}
    assert resumed.json()["studies"][1]["progress"]["by_status"] == {"failed": 2, "succeeded": 14}
    train(client, work, some_loss)
    assert verdicts(client.get(PATH).json())["true"] == "reproduced"


def test_study_that_lost_runs_is_queued_again_with_the_results_of_the_others(client: TestClient, work: Jobs) -> None:
    view = start(client).json()
    train(client, work, some_loss)
    study_id = view["studies"][0]["study_id"]
    (deleted, *_) = client.get("/v1/runs", params={"study_id": study_id}).json()["data"]
    assert client.delete(f"/v1/runs/{deleted['id']}").status_code == 204
    assert verdicts(client.get(PATH).json())["true"] == "pending"
    resumed = start(client).json()
    assert resumed["studies"][0]["study_id"] != study_id
    assert resumed["studies"][0]["progress"]["by_status"] == {"queued": 1, "succeeded": 15}
    assert (resumed["trained_on"][0]["runs"], resumed["trained_on"][0]["reused"]) == (31, 15)
    assert resumed["studies"][1]["study_id"] == view["studies"][1]["study_id"]


def test_diverged_arm_loses_and_is_named(client: TestClient, work: Jobs) -> None:
    start(client)
    train(client, work, lambda arm, seed, epoch: math.nan if arm == "dropout" else some_loss(arm, seed, epoch))
    view = client.get(PATH).json()
    assert verdicts(view)["true"] == "not_reproduced"
    assert view["claims"][0]["result"]["figures"][0]["diverged"] == 8
    assert "'dropout' diverged at 8 seeds" in view["claims"][0]["result"]["explanation"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "pointer"),
    [
        ("/v1/reproductions/nonsense", {}, 404, "reproduction_not_found", None),
        (PATH, {"scale": "huge"}, 422, "literal_error", "/scale"),
        (PATH, {"scales": "quick"}, 422, "extra_forbidden", "/scales"),
        ("/v1/reproductions/absent", {"scale": "quick"}, 422, "dataset_missing", ""),
    ],
)
def test_refusals_name_the_place_and_what_would_work(
    client: TestClient, path: str, body: Any, status: int, code: str, pointer: str | None
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == status
    problem = response.json()
    if pointer is None:
        assert (problem["code"], problem["detail"]) == (
            code,
            "Unknown reproduction 'nonsense'. Known: absent, planted.",
        )
        assert client.get(path).status_code == client.get(f"{path}/report").status_code == 404
        return
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert code != "dataset_missing" or (error["code"] == code and "fitwell data fetch mnist" in error["message"])
    assert not studies(client)


def test_scale_and_format_are_checked(client: TestClient) -> None:
    for query in ("scale=huge", "scales=quick", "format=pdf"):
        assert client.get(f"{PATH}/report?{query}").status_code == 422
    assert client.get(f"{PATH}/report", headers={"accept": "image/png"}).status_code == 406


def test_report_is_one_file_with_the_figures_of_the_api(client: TestClient, work: Jobs) -> None:
    start(client)
    train(client, work, some_loss)
    response = client.get(f"{PATH}/report")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert 'filename="planted-quick.html"' in response.headers["content-disposition"]
    assert not re.search(r"<script|src=|href=\"/", response.text)
    assert "On &lt;planting&gt;" in response.text
    for claim in client.get(PATH).json()["claims"]:
        assert claim["result"]["explanation"].replace("'", "&#39;") in response.text
        assert claim["rule_text"].replace("'", "&#39;").replace("<", "&lt;") in response.text
    assert "32 runs on test" in re.sub(r"\s+", " ", response.text)
    assert client.get(f"{PATH}/report", params={"format": "json"}).json() == client.get(PATH).json()


def test_report_as_csv_has_a_line_for_each_figure(client: TestClient, work: Jobs) -> None:
    before = client.get(f"{PATH}/report", headers={"accept": "text/csv"})
    assert [line["verdict"] for line in csv.DictReader(io.StringIO(before.text))] == [""] * 6
    start(client)
    train(client, work, some_loss)
    lines = list(csv.DictReader(io.StringIO(client.get(f"{PATH}/report?format=csv").text)))
    view = client.get(PATH).json()
    assert [line["claim"] for line in lines] == [claim["name"] for claim in view["claims"]]
    assert [float(line["mean"]) for line in lines] == [
        claim["result"]["figures"][0]["mean"] for claim in view["claims"]
    ]
    assert {line["n"] for line in lines} == {"8"}


def test_pages_show_the_list_and_the_verdicts(client: TestClient, work: Jobs) -> None:
    listed = client.get("/reproductions", headers={"accept": "text/html"})
    assert listed.status_code == 200
    assert f'href="/reproductions/{NAME}"' in listed.text
    assert "dataset missing" in listed.text
    page = client.get(f"/reproductions/{NAME}").text
    assert "Start 32 runs" in page
    assert "On &lt;planting&gt;" in page
    start(client)
    page = client.get(f"/reproductions/{NAME}").text
    assert "data-active" in page
    assert f'data-studies="{",".join(one["id"] for one in studies(client)[::-1])}"' in page
    train(client, work, some_loss)
    page = client.get(f"/reproductions/{NAME}").text
    assert page.count('class="state reproduced"') == 4
    assert page.count('class="state not_reproduced"') == 2
    assert "data-active" not in page
    assert 'id="start"' not in page
    assert 'data-opens="start-dialog"' in client.get(f"/reproductions/{NAME}?scale=full").text
    assert "fitwell data fetch mnist" in client.get("/reproductions/absent").text
    assert client.get("/reproductions/nonsense").status_code == 404


@pytest.fixture
def world(here: Settings) -> Iterator[World]:
    yield from opened(guarded(here.data_dir))


@pytest.fixture
def private(here: Settings) -> Iterator[World]:
    yield from opened(guarded(here.data_dir, share_runs=False))


def test_others_see_a_reproduction_and_start_their_own(world: World) -> None:
    alices = world.client.post(PATH, json={}, headers=world.alice)
    assert (alices.status_code, alices.json()["owner"]) == (201, "alice")
    assert world.client.get(PATH, headers=world.bob).json()["owner"] == "alice"
    bobs = world.client.post(PATH, json={}, headers=world.bob)
    assert (bobs.status_code, bobs.json()["owner"]) == (201, "bob")
    assert world.client.get(PATH, headers=world.alice).json()["owner"] == "alice"
    reader = world.token("eve", "read")
    assert world.client.post(PATH, json={}, headers=reader).json()["code"] == "scope_missing"
    assert 'id="start"' not in world.client.get(f"/reproductions/{NAME}?scale=full", headers=reader).text


def test_private_reproduction_is_invisible_to_others(private: World) -> None:
    private.client.post(PATH, json={}, headers=private.alice)
    assert private.client.get(PATH, headers=private.bob).json()["status"] == "not_started"
    (_, planted) = private.client.get("/v1/reproductions", headers=private.bob).json()["data"]
    assert planted["scales"]["quick"]["started_at"] is None
    assert private.client.get(PATH, headers=private.admin).json()["owner"] == "alice"
