"""`/metrics`, for Prometheus.

Counters of run events are read from the event log when Prometheus scrapes, and start at 0 with the server. So they cost
nothing without a scraper, and they include what workers do in other processes.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import SpecRefused, Unavailable
from service.http.access_log import log_request
from service.http.problems import problems
from service.http.routing import Route
from service.monitoring.stats import Stats

router = APIRouter(tags=["health"], route_class=Route)
WAITS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
RESPONSES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
STACKS = (1, 2, 4, 8, 16, 32, 64)
NO_ROUTE = "none"
"""The label of requests that no route matches: made-up paths must not become series."""


class Meters:
    """The series of one application."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._histogram(
            "http_request_seconds",
            "Time to the first byte of the response.",
            labels=("method", "route", "status"),
            buckets=RESPONSES,
        )
        self._runs = self._gauge("runs", "Unfinished runs by status.", "status")
        self._oldest = self._gauge("queue_oldest_seconds", "Age of the oldest queued run.")
        self._workers = self._gauge("workers", "Live workers.")
        self._events = self._counter("events", "Run events by type; epoch counts recorded epochs.", "type")
        self._returns = self._counter("returns", "Runs returned to the queue, by reason.", "reason")
        self._waits = self._histogram(
            "run_wait_seconds", "Time from submission to the start of training.", buckets=WAITS
        )
        self._stacks = self._histogram("run_stack_size", "Size of the stack that a run started in.", buckets=STACKS)

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(f"fitwell_{name}", description, labels, registry=self._registry)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(f"fitwell_{name}", description, labels, registry=self._registry)

    def _histogram(
        self, name: str, description: str, *, buckets: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> Histogram:
        return Histogram(f"fitwell_{name}", description, labels, buckets=buckets, registry=self._registry)

    def text(self) -> str:
        """Return the current values in the text format."""
        counts = self._stats.count()
        for status, count in counts.unfinished.items():
            self._runs.labels(status).set(count)
        self._oldest.set(counts.oldest_queued_seconds)
        self._workers.set(counts.workers)
        for kind, count in counts.events.items():
            self._events.labels(kind).inc(count)
        for reason, count in counts.returns.items():
            self._returns.labels(reason).inc(count)
        for seconds in counts.waits:
            self._waits.observe(seconds)
        for size in counts.stacks:
            self._stacks.observe(size)
        return generate_latest(self._registry).decode()


class MetricsMiddleware:
    """Measure and log every request."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def send_measured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                labels = (_method(scope), _route(scope), str(status))
                self._meters.requests.labels(*labels).observe(time.perf_counter() - start)
            await send(message)

        try:
            await self._app(scope, receive, send_measured)
        finally:
            log_request(scope, status, time.perf_counter() - start)


def _method(scope: Scope) -> str:
    """Return the method, or `other` for one that no route has."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"


def _route(scope: Scope) -> str:
    """Return the route's path, with names in place of ids."""
    return getattr(scope.get("route"), "path", NO_ROUTE)


def install(app: FastAPI, stats: Stats) -> None:
    """Measure every request to ``app``."""
    app.state.meters = Meters(stats)
    app.add_middleware(MetricsMiddleware, meters=app.state.meters)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    response_class=PlainTextResponse,
    responses=problems(SpecRefused, Unavailable),
)
def get_metrics(request: Request) -> PlainTextResponse:
    """Return metrics for Prometheus: requests, runs by status, events, waits, stacks, returned runs.

    Counters start at 0 with the server and cover all owners.
    """
    meters: Meters = request.app.state.meters
    return PlainTextResponse(meters.text(), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})
