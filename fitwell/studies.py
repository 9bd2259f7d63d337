"""The collection of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from pydantic import Field

from fitwell.datasets import Dataset
from fitwell.requests import Flow, ItemFlow, Request, api_path, fetch_json, paginate
from fitwell.runs import expand_short_forms
from fitwell.study import Study
from fitwell.study_views import StudyMetadata
from fitwell.sync_async import Resource, TransportT, View, call, listing


class StudyFields(StudyMetadata, total=False):
    """The fields of a new study."""

    base: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, Any]]
    datasets: Mapping[str, Mapping[str, Any] | Dataset[Any] | str]
    grid: Mapping[str, Sequence[Any]]
    sample: Mapping[str, Any] | None
    seeds: int | Sequence[int] | Mapping[str, Any]
    replicates: Mapping[str, Any] | None
    folds: int | None
    metric: str | None
    at: str
    epoch_by: str | None
    baseline: str | None
    tune: Mapping[str, Any] | None
    min_effect: float | None


class Preview(View):
    """The estimated cost of a study and the seeds it needs; nothing was queued."""

    runs: int
    max_runs: int | None = None
    reused: int
    stacks: int
    arms: list[str]
    seeds: list[int]
    splits: list[int] | None = None
    estimated_seconds: float
    estimated_bytes: int
    preceding_runs: int = 0
    preceding_seconds: float = 0.0
    looks: int = 1
    looks_from: list[str] = Field(default=[])
    min_seeds_possible: int
    warnings: list[str]


class Studies(Resource[TransportT]):
    """The collection of studies."""

    @call
    def create(self, *, reuse: bool = True, **body: Unpack[StudyFields]) -> Flow[Study[TransportT]]:
        """Submit a study: ``base``, ``arms``, ``datasets``, ``grid`` or ``sample``, ``seeds``; or ``tune`` and so on.

        Raises:
            InvalidRequest: The spec of an arm is invalid; ``errors`` lists the fields.
        """
        params = {} if reuse else {"reuse": "false"}
        return self._from_data((yield from fetch_json(Request("POST", "/v1/studies", params, _expand_study(body)))))

    @call
    def preview(self, **body: Unpack[StudyFields]) -> Flow[Preview]:
        """Estimate the cost of a study and the number of seeds it needs; nothing is queued."""
        return Preview.model_validate(
            (yield from fetch_json(Request("POST", "/v1/studies/preview", json=_expand_study(body))))
        )

    @call
    def get(self, study_id: str) -> Flow[Study[TransportT]]:
        """Return a study.

        Raises:
            StudyNotFound: No study has this id.
        """
        return self._from_data((yield from fetch_json(Request("GET", api_path("studies", study_id)))))

    @listing
    def list(self) -> ItemFlow[Study[TransportT]]:
        """Yield studies, newest first; fetches page by page."""
        yield from paginate("/v1/studies", {"limit": 100}, self._from_data)

    def _from_data(self, data: Any) -> Study[TransportT]:
        return Study.of(self._transport, data)


def _expand_study(body: StudyFields) -> dict[str, Any]:
    """Return the body with the short forms in base, datasets and arms expanded."""
    expanded = _expand_arms(body)
    if isinstance(base := expanded.get("base"), Mapping):
        expanded["base"] = expand_short_forms(base)
    if isinstance(datasets := expanded.get("datasets"), Mapping):
        expanded["datasets"] = {name: expand_short_forms({"dataset": one})["dataset"] for name, one in datasets.items()}
    if isinstance(tune := expanded.get("tune"), Mapping):
        expanded["tune"] = _expand_arms(tune)
    return expanded


def _expand_arms(body: Mapping[str, Any]) -> dict[str, Any]:
    expanded = dict(body)
    if isinstance(arms := expanded.get("arms"), Mapping):
        expanded["arms"] = {
            name: expand_short_forms(arm) if isinstance(arm, Mapping) else arm for name, arm in arms.items()
        }
    return expanded
