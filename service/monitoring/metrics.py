"""`/metrics`: how the service is doing, as Prometheus reads it.

Counters of what happens to runs are read from the event log when somebody asks, and begin at 0 when the server starts,
as counters do; so it costs nothing where nobody asks, and it counts what workers do in other processes.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import SpecRefused, Unavailable
from service.http.access_log import tell
from service.http.dependencies import only
from service.http.problems import problems
from service.monitoring.stats import Stats

router = APIRouter(tags=["health"])
WAITS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
ANSWERS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
STACKS = (1, 2, 4, 8, 16, 32, 64)
ELSEWHERE = "none"
"""The route of what no route answers: addresses that strangers make up shall not become series."""


class Meters:
    """The series of one application."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._histogram(
            "http_request_seconds",
            "From a request to the first byte of its answer.",
            labels=("method", "route", "status"),
            buckets=ANSWERS,
        )
        self._runs = self._gauge("runs", "Unfinished runs by status.", "status")
        self._oldest = self._gauge("queue_oldest_seconds", "How long the oldest queued run has been there.")
        self._workers = self._gauge("workers", "Workers that gave a sign of life within a lease.")
        self._events = self._counter("events", "What happened to runs, by type; epoch is a recorded epoch.", "type")
        self._returns = self._counter("returns", "Runs that came back to the queue, by reason.", "reason")
        self._waits = self._histogram("run_wait_seconds", "From a run's submission to its training.", buckets=WAITS)
        self._stacks = self._histogram("run_stack_size", "Runs in the stack that a run began in.", buckets=STACKS)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"fitwell_{name}", what, labels, registry=self._registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"fitwell_{name}", what, labels, registry=self._registry)

    def _histogram(
        self, name: str, what: str, *, buckets: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> Histogram:
        return Histogram(f"fitwell_{name}", what, labels, buckets=buckets, registry=self._registry)

    def text(self) -> str:
        """All of them, as they are now."""
        counted = self._stats.count()
        for status, count in counted.unfinished.items():
            self._runs.labels(status).set(count)
        self._oldest.set(counted.oldest_queued_seconds)
        self._workers.set(counted.workers)
        for kind, count in counted.events.items():
            self._events.labels(kind).inc(count)
        for reason, count in counted.returns.items():
            self._returns.labels(reason).inc(count)
        for seconds in counted.waits:
            self._waits.observe(seconds)
        for size in counted.stacks:
            self._stacks.observe(size)
        return generate_latest(self._registry).decode()


class Measured:
    """Measures every request, whatever becomes of it, and has it logged."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                labels = (_method(scope), _route(scope), str(status))
                self._meters.requests.labels(*labels).observe(time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            tell(scope, status, time.perf_counter() - began)


def _method(scope: Scope) -> str:
    """The method, of those that anything here answers to."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"


def _route(scope: Scope) -> str:
    """The path with names in the place of ids."""
    return getattr(scope.get("route"), "path", ELSEWHERE)


def install(app: FastAPI, stats: Stats) -> None:
    """Measure everything that ``app`` answers."""
    app.state.meters = Meters(stats)
    app.add_middleware(Measured, meters=app.state.meters)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    dependencies=[Depends(only())],
    response_class=PlainTextResponse,
    responses=problems(SpecRefused, Unavailable),
)
def get_metrics(request: Request) -> PlainTextResponse:
    """How the service is doing, for Prometheus: requests, runs by status, events, waits, stacks, returned runs.

    Counters begin with the server. They are of all owners together.
    """
    meters: Meters = request.app.state.meters
    return PlainTextResponse(meters.text(), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})
