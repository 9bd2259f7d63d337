"""Studies: arms trained over paired seeds."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, Unpack, cast

from pydantic import Field

from fitwell import notebook
from fitwell.across import AcrossDatasets, AcrossOptions
from fitwell.bias_variance import BiasVarianceOptions, StudyBiasVariance
from fitwell.comparison import Choice, Comparison, ComparisonOptions, StudyDiagnosis
from fitwell.errors import TimedOut
from fitwell.history import History
from fitwell.importance import ImportanceOptions, StudyImportance
from fitwell.learning_curves import LearningCurveOptions, LearningCurves
from fitwell.requests import (
    Flow,
    ItemFlow,
    Request,
    Sleep,
    api_path,
    download_file,
    fetch_json,
    paginate,
    send,
    target_file,
)
from fitwell.run import Run
from fitwell.run_views import Event
from fitwell.study_stream import study_events
from fitwell.study_views import Arm, ReportOptions, Schedule, StudyProgress
from fitwell.sync_async import LiveView, TransportT, call, iterator, listing
from fitwell.transport import AsyncTransport
from fitwell.tuning import Tuning

POLL_SECONDS = 0.5
MeasuredT = TypeVar("MeasuredT", StudyBiasVariance, StudyImportance)
"""A result that the server computes over several requests."""


class Study(LiveView[TransportT]):
    """A snapshot of a study; ``refresh`` fetches it again. Notebooks display its comparison."""

    id: str
    owner: str | None = None
    name: str | None
    status: str
    terminal: bool
    metric: str
    at: str
    epoch_by: str | None = None
    baseline: str
    looks: int
    looks_from: list[str] = Field(default=[])
    warnings: list[str] = Field(default=[])
    seeds: list[int]
    datasets: list[str] = Field(default=[])
    replicates: dict[str, Any] | None = None
    splits: list[int] | None = None
    folds: int | None = None
    sequential: Schedule | None = None
    tune: Tuning | None = None
    confirms: str | None = None
    arms: list[Arm]
    progress: StudyProgress
    created_at: str | None = None
    finished_at: str | None = None

    @property
    def path(self) -> str:
        """The path of the study on the server."""
        return api_path("studies", self.id)

    @call
    def refresh(self) -> Flow[Study[TransportT]]:
        """Return the current state of the study."""
        return (yield from self._fetch(Request("GET", self.path)))

    @call
    def wait(self, timeout: float | None = None) -> Flow[Study[TransportT]]:
        """Wait until every run has ended and return the study.

        Raises:
            TimedOut: The study did not end within ``timeout`` seconds; it continues on the server.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        study: Study[TransportT] = self
        while not study.terminal:
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(f"{self.id} did not end within {timeout} s. It continues on the server.")
            yield Sleep(POLL_SECONDS)
            study = yield from self._fetch(Request("GET", self.path, patient=True))
        return study

    @listing
    def runs(self) -> ItemFlow[Run[TransportT]]:
        """Yield the runs of the study, newest first; fetches page by page."""
        params = {"study_id": self.id, "limit": 1000}
        yield from paginate("/v1/runs", params, self._run_from_data)

    @iterator
    def stream(self, after: int = 0) -> ItemFlow[Event]:
        """Yield the events of the study's runs as they happen, each once, until all runs have ended.

        With ``after``, only events with a greater id; none if the study ended before. Runs that are added to a
        sequential study, and those of a tuned study's confirmation, are included; those that are added to another
        are not.

        Raises:
            Unreachable: No server responded to any of the reconnects.
        """
        sequential, tuned = self.sequential is not None, self.tune is not None
        yield from study_events(self.id, after, sequential=sequential, tuned=tuned)

    @call
    def histories(self) -> Flow[dict[str, History]]:
        """Return the histories of all runs by run id, in one request."""
        response = yield from fetch_json(Request("GET", "/v1/histories", {"study_id": self.id}))
        return {data["run_id"]: History.model_validate(data) for data in response["data"]}

    @call
    def compare(self, **options: Unpack[ComparisonOptions]) -> Flow[Comparison]:
        """Compare the arms; options are ``metric``, ``at``, ``epoch_by``, ``baseline``, ``by``, ``curves`` and so on.

        Raises:
            InvalidRequest: A metric, epoch, arm or path does not exist.
            Sealed: The study is tuned, its choice is not frozen, and the metric is one of the test part.
        """
        params = {key: value for key, value in options.items() if value is not None}
        return Comparison.model_validate((yield from fetch_json(Request("GET", f"{self.path}/compare", params))))

    @call
    def across_datasets(self, **options: Unpack[AcrossOptions]) -> Flow[AcrossDatasets]:
        """Compare the arms of a study on several datasets over all of them: aggregates, ranks and two verdicts.

        Raises:
            InvalidRequest: The study has one dataset, or a metric, epoch, arm or dataset does not exist.
        """
        params = {key: value for key, value in options.items() if value is not None}
        data = yield from fetch_json(Request("GET", f"{self.path}/across-datasets", params))
        return AcrossDatasets.model_validate(data)

    @call
    def report(self, to: str | os.PathLike[str] | None = None, **options: Unpack[ReportOptions]) -> Flow[Path]:
        """Write a report of the study as a self-contained HTML file and return its path.

        Raises:
            InvalidRequest: A metric, epoch or path does not exist.
        """
        target = target_file(to, f"{self.id}.html")
        params = {key: value for key, value in options.items() if value is not None}
        yield from download_file(Request("GET", f"{self.path.removeprefix('/v1')}/report", params), target)
        return target

    @call
    def diagnosis(self) -> Flow[StudyDiagnosis]:
        """Return whether each arm fits, underfits or overfits, judged from the loss curves of all its seeds."""
        return StudyDiagnosis.model_validate((yield from fetch_json(Request("GET", f"{self.path}/diagnosis"))))

    @call
    def learning_curve(self, **options: Unpack[LearningCurveOptions]) -> Flow[LearningCurves]:
        """Fit a law of the metric by the number of training rows, and say whether more data would help.

        The study needs several sizes, such as ``grid={"dataset.train_size": [100, 200, 400, 800]}``. Options are
        ``metric``, ``at``, ``epoch_by``, ``min_effect``, ``target`` (a value to reach) and ``min_size``.

        Raises:
            InvalidRequest: The study has no such grid, or the metric or epoch does not exist.
        """
        params = {key: value for key, value in options.items() if value is not None}
        path = f"{self.path}/learning-curve"
        return LearningCurves.model_validate((yield from fetch_json(Request("GET", path, params))))

    @call
    def importance(self, **options: Unpack[ImportanceOptions]) -> Flow[StudyImportance]:
        """Return how much worse the models of each arm get if the values of a column are permuted.

        Options are ``split``, ``metric``, ``repeats``, ``rows``, ``at``, ``arm`` (a list), ``runs`` (the limit on the
        runs to measure) and ``columns`` (of each arm). Each request measures runs for some seconds; requests are sent
        until the server has measured all of them, or makes no progress.

        Raises:
            InvalidRequest: The split has no rows, or an arm does not exist.
            Sealed: The rows are test rows, and the study is still searching.
            Unprocessable: Rows are images, or the models have no such metric.
        """
        return (yield from self._until_measured(StudyImportance, "importance", options))

    @call
    def bias_variance(self, **options: Unpack[BiasVarianceOptions]) -> Flow[StudyBiasVariance]:
        """Return bias and variance of each arm: the parts of its mean test loss over its finished runs.

        Options are ``at`` and ``arm`` (a list). Each request predicts runs for some seconds; requests are sent until
        the server has predicted all of them, or makes no progress.

        Raises:
            NotMeasured: An arm has fewer than two finished runs, or is not evaluated on test rows.
            InvalidRequest: An arm does not exist, or its runs have different test rows.
            Sealed: The study is still searching.
        """
        return (yield from self._until_measured(StudyBiasVariance, "bias-variance", options))

    @call
    def choice(
        self,
        rule: str = "best",
        *,
        metric: str | None = None,
        at: str | None = None,
        epoch_by: str | None = None,
        simpler: Sequence[str] | None = None,
    ) -> Flow[Choice]:
        """Choose the best arm, or with ``one_standard_error`` the simplest arm within one standard error of the best.

        Raises:
            InvalidRequest: A metric, epoch or path does not exist, or ``simpler`` is required.
            NothingToChoose: No arm has been measured yet.
        """
        query = {"rule": rule, "metric": metric, "at": at, "epoch_by": epoch_by, "simpler": simpler}
        params = {key: value for key, value in query.items() if value is not None}
        return Choice.model_validate((yield from fetch_json(Request("GET", f"{self.path}/choice", params))))

    @call
    def add_seeds(self, seeds: int | Sequence[int]) -> Flow[Study[TransportT]]:
        """Train every arm with these additional seeds, or with the given number of additional seeds."""
        body = {"add": seeds} if isinstance(seeds, int) else {"seeds": list(seeds)}
        return (yield from self._fetch(Request("POST", f"{self.path}/seeds", json=body)))

    @call
    def cancel(self) -> Flow[Study[TransportT]]:
        """Cancel all runs of the study."""
        return (yield from self._fetch(Request("POST", f"{self.path}/cancel")))

    @call
    def delete(self) -> Flow[None]:
        """Delete the study with all its runs.

        Raises:
            StudyActive: Some of the runs have not ended.
        """
        yield from send(Request("DELETE", self.path))

    def _repr_html_(self) -> str:
        study = cast("Study", self)  # only a synchronous client fetches
        facts = ", ".join(f"{count} {status}" for status, count in self.progress.by_status.items())
        table = notebook.fetched(self._transport, lambda: study.compare()._repr_html_())
        return notebook.card(self.name, self.id, facts, table)

    def _until_measured(self, view: type[MeasuredT], name: str, options: Mapping[str, Any]) -> Flow[MeasuredT]:
        """Return a result that the server computes request by request, as soon as it is complete or stops growing."""
        params = {key: value for key, value in options.items() if value is not None}
        pending = None
        while True:
            result = view.model_validate((yield from fetch_json(Request("GET", f"{self.path}/{name}", params))))
            if not result.pending or (pending is not None and result.pending >= pending):
                return result
            pending = result.pending

    def _run_from_data(self, data: Any) -> Run[TransportT]:
        return Run.of(self._transport, data)

    def _fetch(self, request: Request) -> Flow[Study[TransportT]]:
        return Study.of(self._transport, (yield from fetch_json(request)))


AsyncStudy: TypeAlias = Study[AsyncTransport]
