"""Traces reach a collector by OTLP, statements under the request that made them, and that under its caller's span."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.app import create_app
from service.settings import Settings, SettingsError
from tests.conftest import body

pytestmark = pytest.mark.slow

CALLER = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
PARENT = bytes.fromhex("00f067aa0ba902b7")


class Collector(ThreadingHTTPServer):
    """Takes traces as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.spans: list[Span] = []
        self.services: set[str] = set()


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        for traced in ExportTraceServiceRequest.FromString(content).resource_spans:
            names = {one.key: one.value.string_value for one in traced.resource.attributes}
            self.server.services.add(names["service.name"])
            self.server.spans += [span for scope in traced.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    yield collector
    collector.shutdown()
    thread.join()
    collector.server_close()


def test_request_and_its_statements_are_one_trace(
    collector: Collector, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    with TestClient(create_app(settings)) as client:
        traced = {"traceparent": f"00-{CALLER.hex()}-{PARENT.hex()}-01"}
        assert client.post("/v1/runs", json=body(), headers=traced).status_code == 201
        assert client.get("/healthz").status_code == 200
    assert collector.services == {"fitwell"}
    (request,) = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert (request.name, request.trace_id, request.parent_span_id) == ("POST /v1/runs", CALLER, PARENT)
    statements = [span for span in collector.spans if span.name.startswith("INSERT")]
    assert statements
    assert {(span.trace_id, span.parent_span_id) for span in statements} == {(CALLER, request.span_id)}


def test_nothing_is_traced_without_an_endpoint(
    collector: Collector, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with TestClient(create_app(settings)) as client:
        client.get("/v1/runs")
    assert collector.spans == []


def test_missing_packages_are_reported_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.fastapi", None)
    with pytest.raises(SettingsError, match=r"fitwell\[otel\]"):
        create_app(Settings(data_dir=tmp_path))
