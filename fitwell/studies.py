"""The studies of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from fitwell.requests import Plan, Request, Telling, pages, place, read
from fitwell.runs import written_out
from fitwell.study import Study
from fitwell.sync_async import M, Resource, View, call, listing


class StudyFields(TypedDict, total=False):
    """The body of a study."""

    name: str | None
    base: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, Any]]
    grid: Mapping[str, Sequence[Any]]
    sample: Mapping[str, Any] | None
    seeds: int | Sequence[int]
    folds: int | None
    metric: str | None
    at: str
    baseline: str | None


class Preview(View):
    """What a study would cost, and whether it could decide anything; nothing was queued."""

    runs: int
    reused: int
    stacks: int
    arms: list[str]
    seeds: list[int]
    estimated_seconds: float
    estimated_bytes: int
    min_seeds_possible: int
    warnings: list[str]


class Studies(Resource[M]):
    """The studies of a server."""

    @call
    def create(self, *, reuse: bool = True, **body: Unpack[StudyFields]) -> Plan[Study[M]]:
        """Submit a study: ``base``, ``arms``, ``grid`` or ``sample``, ``seeds``, ``folds`` and so on.

        Raises:
            InvalidRequest: an arm is not a run that can be trained; ``errors`` says where.
        """
        params = {} if reuse else {"reuse": "false"}
        return self._study((yield from read(Request("POST", "/v1/studies", params, _written_out(body)))))

    @call
    def preview(self, **body: Unpack[StudyFields]) -> Plan[Preview]:
        """What a study would cost, and whether it could decide anything; nothing is queued."""
        return Preview.model_validate(
            (yield from read(Request("POST", "/v1/studies/preview", json=_written_out(body))))
        )

    @call
    def get(self, study_id: str) -> Plan[Study[M]]:
        """One study.

        Raises:
            StudyNotFound: there is none of this id.
        """
        return self._study((yield from read(Request("GET", place("studies", study_id)))))

    @listing
    def list(self) -> Telling[Study[M]]:
        """Studies, newest first, page by page."""
        yield from pages("/v1/studies", {"limit": 100}, self._study)

    def _study(self, data: Any) -> Study[M]:
        return Study.of(self._transport, data)


def _written_out(body: StudyFields) -> dict[str, Any]:
    """The body with the short forms of base and arms written out."""
    told: dict[str, Any] = dict(body)
    if isinstance(base := told.get("base"), Mapping):
        told["base"] = written_out(base)
    if isinstance(arms := told.get("arms"), Mapping):
        told["arms"] = {name: written_out(arm) if isinstance(arm, Mapping) else arm for name, arm in arms.items()}
    return told
