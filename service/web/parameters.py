"""Query parameters of pages.

Those without a description store the state of a view: only scripts read them, so any text is accepted.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.http.parameters import QueryModel
from service.reproductions.definition import Scale
from service.statistics.curves import Band
from service.studies.across import AcrossQuestion
from service.studies.learning_curves import CurveQuery
from service.studies.question import Question


class NewRunQuery(QueryModel):
    """How to fill in the form of a new run."""

    spec: str = ""
    preset: str = ""
    arm: str = ""
    origin: str = Field(default="", alias="from", description="The run to copy.")


class NewStudyQuery(QueryModel):
    """How to fill in the form of a new study."""

    study: str = ""
    preset: str = ""
    origin: str = Field(default="", alias="from", description="The run whose spec is the base.")


class ChartQuery(QueryModel):
    """The state of charts."""

    scale: str = ""
    outliers: str = ""
    smooth: str = ""
    lines: str = ""
    zoom: str = ""


class RunPageQuery(ChartQuery):
    """The state of a run's view."""

    x: str = ""
    tab: str = ""
    at: str = Field(default="", description="The epoch whose model is displayed: `last`, else the best.")


class ComparePageQuery(ChartQuery):
    """The runs to compare, and the series that is drawn."""

    runs: str = Field(default="", description="Ids of runs, separated by commas; the first is the reference.")
    metric: str = ""


class RunReportQuery(QueryModel):
    """The model that a run's report displays."""

    at: Literal["best", "last"] = Field(default="best", description="The best epoch, if there is one, or the last.")


class DatasetListQuery(QueryModel):
    """A page of the list of datasets."""

    after: str = Field(default="", description="`next_cursor` of the page before.")


class DocumentationQuery(QueryModel):
    """A search of the documentation."""

    q: str = Field(default="", max_length=200, description="Words; empty for the index.")


class StudyListQuery(QueryModel):
    """A page of the list of studies."""

    after: str = Field(default="", description="`next_cursor` of the page before.")


class StudyPageQuery(ChartQuery):
    """The state of a study's view; scripts send the question to the API."""

    metric: str = ""
    at: str = ""
    by: list[str] = Field(default=[])
    pairs: str = ""
    correction: str = ""
    curve: str = ""
    view: str = ""
    sort: str = Field(default="", description="The column that sorts the comparison; descending after a minus sign.")
    field: str = Field(default="", description="Path of the varied field that the metric is drawn against.")
    split: str = Field(default="", description="Path of the field whose values are the lines of that chart.")


class StudyReportQuery(QueryModel):
    """The comparison in a study's report, with the names that the study's page uses in its address."""

    metric: str | None = Field(default=None, description="By default the study's.")
    at: str | None = Field(default=None, description="best, last or epoch:N; by default the study's.")
    epoch_by: str | None = Field(default=None, description="The metric whose best epoch `at=best` is.")
    by: list[str] = Field(default=["arm"], description="Paths of the spec to group by, or `arm`.")
    pairs: str = Field(default="baseline", description="all: compare all pairs.")
    baseline: str | None = Field(default=None, description="The arm that the others are compared with.")
    correction: Literal["max_t", "holm"] = Field(default="max_t", description="Correction for the number of pairs.")
    curve: str | None = Field(default=None, description="The series to draw; by default the metric.")
    band: Band = Field(default="std", description="The band of curves: `std` or `quartiles`.")

    def question(self, default_metric: str) -> Question:
        """Return the question for the service; ``default_metric`` is drawn if the address names no series."""
        return Question(
            metric=self.metric,
            at=self.at,
            epoch_by=self.epoch_by,
            by=self.by,
            all_pairs=self.pairs == "all",
            baseline=self.baseline,
            correction=self.correction,
            curves=[self.curve or self.metric or default_metric],
            band=self.band,
        )

    def question_across(self) -> AcrossQuestion:
        """Return the question about all datasets of the study."""
        arms = self.by == ["arm"]  # otherwise the baseline is another group
        return AcrossQuestion(
            metric=self.metric,
            at=self.at,
            epoch_by=self.epoch_by,
            all_pairs=self.pairs == "all",
            baseline=self.baseline if arms else None,
            correction=self.correction,
        )

    def curve_query(self) -> CurveQuery:
        """Return the request for learning curves of the metric."""
        return CurveQuery(metric=self.metric, at=self.at, epoch_by=self.epoch_by)


class ReproductionPageQuery(QueryModel):
    """The scale of a reproduction's page."""

    scale: Scale = Field(default="quick", description="The scale whose results to show.")


class SignInQuery(QueryModel):
    """Parameters of the sign-in page."""

    next: str = Field(default="/", description="The path to open.")
