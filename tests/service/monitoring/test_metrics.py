"""Metrics for Prometheus: the exposition format, and values that match the runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families as families

from service.app import create_app
from service.settings import Settings
from service.tokens.service import Tokens
from service.tokens.token import NewToken
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Outcome

OBSERVABILITY = Path(__file__).parents[3] / "docs" / "observability"
Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(client: TestClient) -> Samples:
    """Every sample by its name and the values of its labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    collected = [sample for family in families(answer.text) for sample in family.samples]
    return {(sample.name, tuple(sample.labels.values())): sample.value for sample in collected}


def test_runs_are_counted_by_status_and_by_transition(client: TestClient, work: Jobs) -> None:
    before = samples(client)
    assert before["fitwell_runs", ("queued",)] == 0
    for seed in range(3):
        client.post("/v1/runs", json=body(seed=seed))
    values = samples(client)
    assert values["fitwell_runs", ("queued",)] == 3
    assert values["fitwell_queue_oldest_seconds", ()] > 0
    assert values["fitwell_events_total", ("run.created",)] == 3
    work.register(WORKER)
    claims = work.claim(WORKER, limit=2)
    work.started(claims, device="cpu", determinism_class="cpu/test")
    work.record(claims, [measured(claim.run_id, 1) for claim in claims])
    work.finish(claims[:1], [Outcome(run_id=claims[0].run_id, status="succeeded", code="finished")])
    work.release(claims[1:], failed=True)
    values = samples(client)
    assert (values["fitwell_runs", ("queued",)], values["fitwell_runs", ("running",)]) == (2, 0)
    assert values["fitwell_workers", ()] == 1
    assert values["fitwell_events_total", ("epoch",)] == 2
    assert values["fitwell_events_total", ("run.succeeded",)] == 1
    assert values["fitwell_returns_total", ("worker_died",)] == 1
    assert values["fitwell_run_wait_seconds_count", ()] == 2
    assert values["fitwell_run_stack_size_sum", ()] == 4
    assert samples(client)["fitwell_events_total", ("epoch",)] == 2, "counted events are not counted again"


def test_counters_start_with_the_server(client: TestClient, here: Settings) -> None:
    client.post("/v1/runs", json=body())
    with TestClient(create_app(here)) as other:
        values = samples(other)
    assert values["fitwell_runs", ("queued",)] == 1
    assert ("fitwell_events_total", ("run.created",)) not in values


def test_requests_are_measured_by_route_and_unknown_paths_are_one_series(client: TestClient) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    for _ in range(3):
        client.get(f"/v1/runs/{run_id}")
    for i in range(50):
        client.get(f"/there/is/nothing/{i}")
        client.request(f"M{i}", "/v1/runs")
    values = samples(client)
    bucket, route = "fitwell_http_request_seconds_bucket", {"GET", "/v1/runs/{run_id}", "200"}
    counts = [({*labels} - route, n) for (name, labels), n in values.items() if name == bucket and route < {*labels}]
    read = sorted((float(le), n) for (le,), n in counts)
    assert [le for le, _ in read if le <= 0.1] == [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]
    assert read[-1][1] == 3
    count = "fitwell_http_request_seconds_count"
    assert values[count, ("GET", "/v1/runs/{run_id}", "200")] == 3
    assert values[count, ("GET", "none", "404")] == 50
    assert sum(value for (name, labels), value in values.items() if name == count and labels[0] == "other") == 50
    assert len({labels for name, labels in values if name == count}) < 10


def test_metrics_need_only_the_read_scope(here: Settings) -> None:
    app = create_app(here)
    with TestClient(app) as client:
        create = app.state.services[Tokens].create
        create(NewToken(name="first", owner="root", scopes=["admin"]))
        _, secret = create(NewToken(name="prometheus", owner="monitor", scopes=["read"]))
        assert client.get("/metrics").status_code == 401
        client.headers["authorization"] = f"Bearer {secret}"
        assert client.get("/metrics").status_code == 200


def test_every_series_on_the_dashboard_is_exported(client: TestClient, work: Jobs) -> None:
    client.post("/v1/runs", json=body())
    claims = work.claim(WORKER, limit=1)
    work.started(claims, device="cpu", determinism_class="cpu/test")
    work.release(claims, failed=True)
    exported = {name for name, _ in samples(client)}
    board: dict[str, Any] = json.loads((OBSERVABILITY / "grafana" / "fitwell.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(queries) >= 8
    named = {name for query in queries for name in re.findall(r"fitwell_\w+|process_\w+", query)}
    assert named
    assert named <= exported
    scrape = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape["metrics_path"] == "/metrics"
