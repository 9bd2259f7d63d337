"""The runs of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from fitwell.datasets import Dataset
from fitwell.history import History
from fitwell.requests import Plan, Request, Telling, answered, pages, place, read
from fitwell.run import Run
from fitwell.run_views import Event, Validation
from fitwell.sync_async import M, Resource, call, listing

Part = Mapping[str, Any]
KIND_FIELDS = ("dataset", "model", "loss", "optimizer", "schedule")


class RunFields(TypedDict, total=False):
    """The body of a run. A part is a mapping with its ``kind``, or the kind alone: ``dataset="digits"``."""

    dataset: str | Part | Dataset[Any]
    model: str | Part
    loss: str | Part | None
    optimizer: str | Part
    regularizers: Sequence[Part]
    schedule: str | Part
    stop: Sequence[Part]
    epochs: int
    batch_size: int | str
    seed: int
    evaluate: Part
    warm_start: Part | None
    allow_test_selection: bool
    device: str
    precision: str
    name: str | None
    labels: Mapping[str, str]
    priority: int
    max_seconds: float | None


class Runs(Resource[M]):
    """The runs of a server."""

    @call
    def create(self, *, reuse: bool = True, **body: Unpack[RunFields]) -> Plan[Run[M]]:
        """Submit a run: the fields of its body as arguments; ``dataset="digits"`` is short for its kind.

        Raises:
            InvalidRequest: the spec is wrong; ``errors`` says where.
        """
        params = {} if reuse else {"reuse": "false"}
        return self._run((yield from answered(Request("POST", "/v1/runs", params, written_out(body)))))

    @call
    def create_many(self, bodies: Sequence[RunFields], *, reuse: bool = True) -> Plan[list[Run[M]]]:
        """Submit several runs in one transaction: all of them, or none.

        Raises:
            InvalidRequest: a spec is wrong; ``errors`` says which, and where.
        """
        params = {} if reuse else {"reuse": "false"}
        body = {"runs": [written_out(one) for one in bodies]}
        made = yield from read(Request("POST", "/v1/runs/bulk", params, body))
        return [self._listed(data) for data in made["data"]]

    @call
    def validate(self, **body: Unpack[RunFields]) -> Plan[Validation]:
        """What a spec would become and cost; nothing is queued.

        Raises:
            InvalidRequest: the spec is wrong; ``errors`` says where.
        """
        request = Request("POST", "/v1/runs", {"validate_only": "true"}, written_out(body))
        return Validation.model_validate((yield from read(request)))

    @call
    def get(self, run_id: str) -> Plan[Run[M]]:
        """One run.

        Raises:
            RunNotFound: there is none of this id.
        """
        return self._run((yield from answered(Request("GET", place("runs", run_id)))))

    @listing
    def list(
        self,
        *,
        status: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        study_id: str | None = None,
        name: str | None = None,
        filter: str | None = None,  # noqa: A002 - the route's word
        sort: str | None = None,
        limit: int | None = None,
    ) -> Telling[Run[M]]:
        """Runs, newest first or as ``sort`` says, page by page; at most ``limit``.

        ``filter`` compares places of runs: ``status = "succeeded" AND spec.optimizer.lr >= 0.1``.

        Raises:
            InvalidRequest: the filter or the order cannot be understood.
        """
        asked: dict[str, Any] = {"study_id": study_id, "name": name, "filter": filter, "sort": sort}
        params = {key: value for key, value in asked.items() if value is not None}
        params |= {"limit": min(limit or 100, 1000), "status": [*status]}
        params["label"] = [f"{key}={value}" for key, value in (labels or {}).items()]
        yield from pages("/v1/runs", params, self._listed, most=limit)

    @call
    def history(self, run_id: str) -> Plan[History]:
        """Every epoch that is recorded of a run.

        Raises:
            RunNotFound: there is none of this id.
        """
        return History.model_validate((yield from read(Request("GET", place("runs", run_id, "history")))))

    @call
    def histories(self, *, study_id: str) -> Plan[dict[str, History]]:
        """The histories of all runs of a study, in one answer; by run.

        Raises:
            StudyNotFound: there is none of this id.
        """
        found = yield from read(Request("GET", "/v1/histories", {"study_id": study_id}))
        return {data["run_id"]: History.model_validate(data) for data in found["data"]}

    @call
    def cancel(self, ids: Sequence[str] | None = None, *, filter: str | None = None) -> Plan[int]:  # noqa: A002
        """Ask many runs to end, those of these ids or those that a filter finds; how many end by it.

        Raises:
            InvalidRequest: both or neither are given, or the filter cannot be understood.
        """
        body = {"ids": None if ids is None else [*ids], "filter": filter}
        told = {key: value for key, value in body.items() if value is not None}
        asked: int = (yield from read(Request("POST", "/v1/runs/cancel", json=told)))["asked"]
        return asked

    @listing
    def events(self, after: int = 0) -> Telling[Event]:
        """What has happened to all runs so far, oldest first."""
        yield from pages("/v1/events", {"after": after, "limit": 1000}, Event.model_validate)

    def _listed(self, data: Any) -> Run[M]:
        return Run.of(self._transport, data)

    def _run(self, answer: Any) -> Run[M]:
        run: Run[M] = Run.of(self._transport, answer.json())
        run._etag = answer.headers.get("etag", "")
        return run


def written_out(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with short forms written out: a kind alone, or a dataset as the server answered it."""
    short = {key: value.spec if isinstance(value, Dataset) else value for key, value in body.items()}
    return {key: {"kind": one} if key in KIND_FIELDS and isinstance(one, str) else one for key, one in short.items()}
