"""Runs as runs of an MLflow tracking server, by its REST interface alone and within its limits.

A run that is exported again is the same MLflow run: it is found by its tag, and what is there of it already stays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

import httpx2

from fitwell.errors import FitwellError, Unreachable
from fitwell.exporters.epoch_times import seconds_of
from fitwell.history import History
from fitwell.run import Run

T = TypeVar("T")
API = "/api/2.0/mlflow"
METRICS_AT_ONCE = 1000
PARAMS_AT_ONCE = 100
TAGS_AT_ONCE = 100
VALUE_CHARACTERS = 500
"""Of a parameter, in every version of the last years."""
TAG = "fitwell.run_id"
STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "running": "RUNNING", "paused": "RUNNING"}


class MLflowRefused(FitwellError):
    """The tracking server refused a request; the message is its own."""


class Tracking:
    """An MLflow tracking server."""

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 30.0) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._http = httpx2.Client(base_url=self._url, headers=headers, timeout=timeout)

    def __enter__(self) -> Tracking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def export(self, run: Run[Any], history: History, *, experiment: str) -> str:
        """Make or complete the MLflow run of a run: spec as parameters, series as metrics; its id there.

        Raises:
            MLflowRefused: the tracking server refused.
            Unreachable: there is no tracking server.
        """
        experiment_id = self._experiment(experiment)
        tracked, last_epoch = self._run(experiment_id, run)
        for params in _pieces(list(_params(run.spec)), PARAMS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": tracked, "params": params})
        for tags in _pieces(_tags(run), TAGS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": tracked, "tags": tags})
        for metrics in _pieces(list(_metrics(run, history, last_epoch)), METRICS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": tracked, "metrics": metrics})
        ended = {} if run.finished_at is None else {"end_time": _milliseconds(run.finished_at)}
        self._post("runs/update", {"run_id": tracked, "status": STATUS.get(run.status, "SCHEDULED"), **ended})
        return tracked

    def _experiment(self, name: str) -> str:
        answer = self._http_get("experiments/get-by-name", {"experiment_name": name})
        if answer is not None:
            return str(answer["experiment"]["experiment_id"])
        return str(self._post("experiments/create", {"name": name})["experiment_id"])

    def _run(self, experiment_id: str, run: Run[Any]) -> tuple[str, int]:
        """The MLflow run, and the last epoch that it has; -1 where it was just made."""
        asked = {"experiment_ids": [experiment_id], "filter": f"tags.`{TAG}` = '{run.id}'", "max_results": 1}
        found = self._post("runs/search", asked).get("runs", [])
        if found:
            last = max((int(one.get("step", 0)) for one in found[0]["data"].get("metrics", ())), default=-1)
            return str(found[0]["info"]["run_id"]), last
        body = {
            "experiment_id": experiment_id,
            "run_name": run.name or run.id,
            "start_time": _milliseconds(run.started_at or run.created_at),
            "tags": [{"key": TAG, "value": run.id}],
        }
        return str(self._post("runs/create", body)["run"]["info"]["run_id"]), -1

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._told(self._asked("POST", path, json=body))

    def _http_get(self, path: str, params: Mapping[str, str]) -> dict[str, Any] | None:
        """The answer; None where there is no such thing."""
        answer = self._asked("GET", path, params=params)
        return None if answer.status_code == 404 else self._told(answer)

    def _asked(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            return self._http.request(method, f"{API}/{path}", **options)
        except httpx2.TransportError as error:
            raise NoTracking(self._url, str(error) or type(error).__name__) from error

    def _told(self, answer: httpx2.Response) -> dict[str, Any]:
        if answer.is_error:
            said = answer.text[:500]
            raise MLflowRefused(f"MLflow at {self._url} refused {answer.request.url.path}: {said}")
        told: dict[str, Any] = answer.json()
        return told


class NoTracking(Unreachable):
    """No MLflow tracking server answered."""

    def __init__(self, url: str, reason: str) -> None:
        FitwellError.__init__(self, f"No MLflow server answers at {url} ({reason}). --to is its address.")
        self.url, self.arrived = url, False


def _params(spec: Any, path: str = "") -> Iterator[dict[str, str]]:
    """The spec's leaves by their paths: ``regularizers.0.p``."""
    if isinstance(spec, dict) and spec:
        for name, value in spec.items():
            yield from _params(value, f"{path}.{name}".lstrip("."))
    elif isinstance(spec, list) and any(isinstance(one, dict) for one in spec):
        for number, value in enumerate(spec):
            yield from _params(value, f"{path}.{number}")
    else:
        text = spec if isinstance(spec, str) else json.dumps(spec)
        yield {"key": path, "value": text if len(text) <= VALUE_CHARACTERS else f"{text[: VALUE_CHARACTERS - 1]}…"}


def _tags(run: Run[Any]) -> list[dict[str, str]]:
    known = {"spec_hash": run.spec_hash, "status": run.status, "study_id": run.study_id, "arm": run.arm}
    tags = {f"fitwell.{name}": value for name, value in known.items() if value is not None}
    return [{"key": key, "value": value} for key, value in {**run.labels, **tags}.items()]


def _metrics(run: Run[Any], history: History, last_epoch: int) -> Iterator[dict[str, Any]]:
    """Every figure of the epochs behind ``last_epoch``; what is not finite as protocol buffers' JSON has it."""
    times = [round(seconds * 1000) for seconds in seconds_of(run, history)]
    for name, values in history.columns().items():
        for epoch, value, time in zip(history.epoch, values, times, strict=True):
            if name != "epoch" and value is not None and epoch > last_epoch:
                yield {"key": name, "value": _number(value), "timestamp": time, "step": epoch}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _milliseconds(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


def _pieces(every: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (every[begin : begin + size] for begin in range(0, len(every), size))
