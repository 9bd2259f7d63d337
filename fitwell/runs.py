"""The collection of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import httpx2

from fitwell.datasets import Dataset
from fitwell.history import History
from fitwell.requests import Flow, ItemFlow, Request, api_path, fetch_json, paginate, send
from fitwell.run import Run
from fitwell.run_comparison import RunComparison
from fitwell.run_views import Event, RunChanges, Validation
from fitwell.sync_async import Resource, TransportT, call, iterator, listing

Part = Mapping[str, Any]
KIND_FIELDS = ("dataset", "model", "loss", "optimizer", "schedule")


class RunFields(RunChanges, total=False):
    """Spec and metadata of a run. A part is a mapping with a ``kind``, or only the kind: ``dataset="digits"``."""

    dataset: str | Part | Dataset[Any]
    model: str | Part
    loss: str | Part | None
    optimizer: str | Part
    regularizers: Sequence[Part]
    gradient_clipping: Part | None
    schedule: str | Part
    averaging: Part | None
    stop: Sequence[Part]
    epochs: int
    batch_size: int | str
    seed: int
    evaluate: Part
    warm_start: Part | None
    allow_test_selection: bool
    device: str
    precision: str


class Runs(Resource[TransportT]):
    """The collection of runs."""

    @call
    def create(self, *, reuse: bool = True, **body: Unpack[RunFields]) -> Flow[Run[TransportT]]:
        """Submit a run. Arguments are the fields of the spec; ``dataset="digits"`` is short for ``{"kind": "digits"}``.

        Raises:
            InvalidRequest: The spec is invalid; ``errors`` lists the fields.
        """
        params = {} if reuse else {"reuse": "false"}
        return self._from_response((yield from send(Request("POST", "/v1/runs", params, expand_short_forms(body)))))

    @call
    def create_many(self, bodies: Sequence[RunFields], *, reuse: bool = True) -> Flow[list[Run[TransportT]]]:
        """Submit several runs in one transaction: all or none.

        Raises:
            InvalidRequest: A spec is invalid; ``errors`` lists the runs and fields.
        """
        params = {} if reuse else {"reuse": "false"}
        body = {"runs": [expand_short_forms(one) for one in bodies]}
        created = yield from fetch_json(Request("POST", "/v1/runs/bulk", params, body))
        return [self._from_data(data) for data in created["data"]]

    @call
    def validate(self, **body: Unpack[RunFields]) -> Flow[Validation]:
        """Validate a spec and return it with its estimated cost; nothing is queued.

        Raises:
            InvalidRequest: The spec is invalid; ``errors`` lists the fields.
        """
        request = Request("POST", "/v1/runs", {"validate_only": "true"}, expand_short_forms(body))
        return Validation.model_validate((yield from fetch_json(request)))

    @call
    def get(self, run_id: str) -> Flow[Run[TransportT]]:
        """Return a run.

        Raises:
            RunNotFound: No run has this id.
        """
        return self._from_response((yield from send(Request("GET", api_path("runs", run_id)))))

    @listing
    def list(
        self,
        *,
        status: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        study_id: str | None = None,
        name: str | None = None,
        filter: str | None = None,  # noqa: A002 - the name of the query parameter
        sort: str | None = None,
        limit: int | None = None,
    ) -> ItemFlow[Run[TransportT]]:
        """Yield runs, newest first or in the order of ``sort``, up to ``limit``; fetches page by page.

        ``filter`` compares fields of runs: ``status = "succeeded" AND spec.optimizer.lr >= 0.1``.

        Raises:
            InvalidRequest: ``filter`` or ``sort`` is invalid.
        """
        query: dict[str, Any] = {"study_id": study_id, "name": name, "filter": filter, "sort": sort}
        params = {key: value for key, value in query.items() if value is not None}
        params |= {"limit": min(limit or 100, 1000), "status": [*status]}
        params["label"] = [f"{key}={value}" for key, value in (labels or {}).items()]
        yield from paginate("/v1/runs", params, self._from_data, limit=limit)

    @call
    def history(self, run_id: str) -> Flow[History]:
        """Return all epochs recorded so far.

        Raises:
            RunNotFound: No run has this id.
        """
        return History.model_validate((yield from fetch_json(Request("GET", api_path("runs", run_id, "history")))))

    @call
    def histories(self, *, study_id: str) -> Flow[dict[str, History]]:
        """Return the histories of all runs of a study by run id, in one request.

        Raises:
            StudyNotFound: No study has this id.
        """
        response = yield from fetch_json(Request("GET", "/v1/histories", {"study_id": study_id}))
        return {data["run_id"]: History.model_validate(data) for data in response["data"]}

    @call
    def compare(self, ids: Sequence[str]) -> Flow[RunComparison]:
        """Compare up to 50 runs with the first one: differing fields, figures, and which series are like for like.

        Raises:
            RunNotFound: No run has one of the ids.
        """
        request = Request("GET", "/v1/run_comparison", {"ids": ",".join(ids)})
        return RunComparison.model_validate((yield from fetch_json(request)))

    @call
    def cancel(self, ids: Sequence[str] | None = None, *, filter: str | None = None) -> Flow[int]:  # noqa: A002
        """Cancel the runs with these ids, or all that match a filter; return how many were cancelled.

        Raises:
            InvalidRequest: Both or neither of the arguments are set, or the filter is invalid.
        """
        selection = {"ids": None if ids is None else [*ids], "filter": filter}
        body = {key: value for key, value in selection.items() if value is not None}
        count: int = (yield from fetch_json(Request("POST", "/v1/runs/cancel", json=body)))["asked"]
        return count

    @iterator
    def events(self, after: int = 0) -> ItemFlow[Event]:
        """Yield the past events of all runs, oldest first."""
        yield from paginate("/v1/events", {"after": after, "limit": 1000}, Event.model_validate)

    def _from_data(self, data: Any) -> Run[TransportT]:
        return Run.of(self._transport, data)

    def _from_response(self, response: httpx2.Response) -> Run[TransportT]:
        run: Run[TransportT] = Run.of(self._transport, response.json())
        run._etag = response.headers.get("etag", "")
        return run


def expand_short_forms(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with short forms replaced by mappings: a kind alone, or a ``Dataset``.

    The spec of a run to train first, in ``warm_start``, may have them too.
    """
    specs = {key: value.spec if isinstance(value, Dataset) else value for key, value in body.items()}
    start = specs.get("warm_start")
    if isinstance(start, Mapping) and isinstance(start.get("spec"), Mapping):
        specs["warm_start"] = {**start, "spec": expand_short_forms(start["spec"])}
    return {key: {"kind": one} if key in KIND_FIELDS and isinstance(one, str) else one for key, one in specs.items()}
