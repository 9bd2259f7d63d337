"""Export runs to an MLflow tracking server, through its REST API and within its limits.

Exporting a run again updates the same MLflow run, identified by its tag; existing values are kept.
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
from fitwell.exporters.points import epoch_end_times
from fitwell.history import History
from fitwell.run import Run

T = TypeVar("T")
API = "/api/2.0/mlflow"
MAX_METRICS_PER_REQUEST = 1000
MAX_PARAMS_PER_REQUEST = 100
MAX_TAGS_PER_REQUEST = 100
MAX_PARAM_LENGTH = 500
"""In characters; the limit of all recent MLflow versions."""
TAG = "fitwell.run_id"
STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "running": "RUNNING", "paused": "RUNNING"}


class MLflowRefused(FitwellError):
    """The tracking server rejected a request; the message contains its response."""


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
        """Create or update the MLflow run of a run and return its id; the spec becomes params, series become metrics.

        Raises:
            MLflowRefused: The tracking server rejected a request.
            Unreachable: The tracking server does not respond.
        """
        experiment_id = self._experiment(experiment)
        mlflow_id, last_epoch = self._run(experiment_id, run)
        for params in _batches(list(_params(run.spec)), MAX_PARAMS_PER_REQUEST):
            self._post("runs/log-batch", {"run_id": mlflow_id, "params": params})
        for tags in _batches(_tags(run), MAX_TAGS_PER_REQUEST):
            self._post("runs/log-batch", {"run_id": mlflow_id, "tags": tags})
        for metrics in _batches(list(_metrics(run, history, last_epoch)), MAX_METRICS_PER_REQUEST):
            self._post("runs/log-batch", {"run_id": mlflow_id, "metrics": metrics})
        end = {} if run.finished_at is None else {"end_time": _milliseconds(run.finished_at)}
        self._post("runs/update", {"run_id": mlflow_id, "status": STATUS.get(run.status, "SCHEDULED"), **end})
        return mlflow_id

    def _experiment(self, name: str) -> str:
        response = self._get("experiments/get-by-name", {"experiment_name": name})
        if response is not None:
            return str(response["experiment"]["experiment_id"])
        return str(self._post("experiments/create", {"name": name})["experiment_id"])

    def _run(self, experiment_id: str, run: Run[Any]) -> tuple[str, int]:
        """Return the MLflow run's id and its last epoch; -1 for a new run."""
        query = {"experiment_ids": [experiment_id], "filter": f"tags.`{TAG}` = '{run.id}'", "max_results": 1}
        matches = self._post("runs/search", query).get("runs", [])
        if matches:
            last = max((int(one.get("step", 0)) for one in matches[0]["data"].get("metrics", ())), default=-1)
            return str(matches[0]["info"]["run_id"]), last
        body = {
            "experiment_id": experiment_id,
            "run_name": run.name or run.id,
            "start_time": _milliseconds(run.started_at or run.created_at),
            "tags": [{"key": TAG, "value": run.id}],
        }
        return str(self._post("runs/create", body)["run"]["info"]["run_id"]), -1

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json(self._request("POST", path, json=body))

    def _get(self, path: str, params: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the response, or None for status 404."""
        response = self._request("GET", path, params=params)
        return None if response.status_code == 404 else self._json(response)

    def _request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            return self._http.request(method, f"{API}/{path}", **options)
        except httpx2.TransportError as error:
            raise NoTracking(self._url, str(error) or type(error).__name__) from error

    def _json(self, response: httpx2.Response) -> dict[str, Any]:
        if response.is_error:
            path, reason = response.request.url.path, response.text[:500]
            raise MLflowRefused(f"MLflow at {self._url} rejected {path}: {reason}")
        content: dict[str, Any] = response.json()
        return content


class NoTracking(Unreachable):
    """The MLflow tracking server does not respond."""

    def __init__(self, url: str, reason: str) -> None:
        FitwellError.__init__(self, f"No MLflow server responds at {url} ({reason}). Set its address with --to.")
        self.url, self.arrived = url, False


def _params(spec: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Yield the spec's leaves by path, such as ``regularizers.0.p``."""
    if isinstance(spec, dict) and spec:
        for name, value in spec.items():
            yield from _params(value, f"{path}.{name}".lstrip("."))
    elif isinstance(spec, list) and any(isinstance(one, dict) for one in spec):
        for number, value in enumerate(spec):
            yield from _params(value, f"{path}.{number}")
    else:
        text = spec if isinstance(spec, str) else json.dumps(spec)
        yield {"key": path, "value": text if len(text) <= MAX_PARAM_LENGTH else f"{text[: MAX_PARAM_LENGTH - 1]}…"}


def _tags(run: Run[Any]) -> list[dict[str, str]]:
    fields = {"spec_hash": run.spec_hash, "status": run.status, "study_id": run.study_id, "arm": run.arm}
    tags = {f"fitwell.{name}": value for name, value in fields.items() if value is not None}
    return [{"key": key, "value": value} for key, value in {**run.labels, **tags}.items()]


def _metrics(run: Run[Any], history: History, last_epoch: int) -> Iterator[dict[str, Any]]:
    """Yield all values of epochs after ``last_epoch``; nonfinite values are encoded as in Protocol Buffers JSON."""
    times = [round(seconds * 1000) for seconds in epoch_end_times(run, history)]
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


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
