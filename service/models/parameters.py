"""Query parameters of models and pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from service.http.parameters import QueryModel
from service.models.files import ImportanceQuestion
from service.models.service import Canvas
from service.runs.saved_weights import At
from service.sandbox.parsing.options import Format, Options
from service.sandbox.predicting.messages import Split, Theme
from worker.spec.calibration import BINS

Snapshot = Annotated[
    At,
    Field(
        description="The model after the best epoch (lowest val.loss, or test.loss without one), after the last, or "
        "with the averaged weights of a run with averaging."
    ),
]
ThemeName = Annotated[Theme, Field(description="A light or a dark background.")]


class ModelQuery(QueryModel):
    """Which model of a run."""

    at: Snapshot = "best"


class SnapshotQuery(QueryModel):
    """Which model of a run; the last is measured when the run ends, others on request."""

    at: Snapshot = "last"


class FileQuery(ModelQuery):
    """Which model of a run, and how the file is read; what is null is detected."""

    header: bool | None = Field(default=None, description="Text files: whether the first row names the columns.")
    delimiter: str | None = Field(
        default=None, max_length=10, description="Text files: one character, `tab`, or `whitespace`."
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="Text files: the decimal mark; by default that of the dataset's options."
    )
    encoding: str | None = Field(default=None, max_length=40, description="Text files: such as `cp1252`.")
    missing: list[str] = Field(
        default=[],
        max_length=1000,
        description="Texts that stand for a missing value, besides the usual ones; by default those of the dataset's "
        "options.",
    )
    sheet: str | None = Field(default=None, max_length=256, description="Workbooks: the sheet that holds the table.")
    member: str | None = Field(default=None, max_length=256, description="Zip files: the entry that holds the table.")

    def options(self, form: Format | None) -> Options:
        """Return the parser's options for a file of this format."""
        return Options(
            format=form,
            header=self.header,
            delimiter=self.delimiter,
            decimal=self.decimal,
            encoding=self.encoding,
            missing=tuple(self.missing),
            sheet=self.sheet,
            member=self.member,
        )


class EvaluateQuery(FileQuery):
    """Which model of a run, and how the file is read."""

    target: str | None = Field(
        default=None,
        max_length=1000,
        description="Files: the column with the true values; by default named as in the model's dataset.",
    )


class ImportanceQuery(QueryModel):
    """How the importance of columns is measured."""

    split: Split = Field(default="val", description="The part of the dataset.")
    metric: str = Field(default="loss", max_length=100, description="The loss, or another metric such as `accuracy`.")
    repeats: int = Field(default=5, ge=1, le=100, description="Permutations of each column.")
    rows: int = Field(default=2000, ge=2, le=100_000, description="Rows at most; more are sampled.")

    def question(self) -> ImportanceQuestion:
        """Return the question for the service."""
        return ImportanceQuestion(split=self.split, metric=self.metric, repeats=self.repeats, rows=self.rows)


class RunImportanceQuery(ImportanceQuery):
    """Which model of a run, and how the importance of its columns is measured."""

    at: Snapshot = "best"


class CurveQuery(QueryModel):
    """Which curves to draw, and how."""

    metrics: str | None = Field(
        default=None, max_length=2000, description="Series to draw, separated by commas; by default the losses."
    )
    width: int = Field(default=900, ge=320, le=3000, description="In pixels.")
    height: int = Field(default=540, ge=240, le=2000, description="In pixels.")
    log: bool = Field(default=False, description="Draw losses on a logarithmic scale.")
    theme: ThemeName = "light"

    def canvas(self, form: Literal["png", "svg"]) -> Canvas:
        """Return the canvas for the service."""
        return Canvas(form=form, width=self.width, height=self.height, log=self.log, theme=self.theme)


class PredictionsQuery(QueryModel):
    """Which images to draw."""

    count: int = Field(default=10, ge=1, le=100, description="Images to draw, at most.")
    first: int = Field(default=0, ge=0, le=2**31, description="Index of the first image, from 0.")
    split: Split = Field(default="test", description="The part of the dataset.")
    wrong: bool = Field(default=False, description="Draw only images whose predicted class is wrong, from `first` on.")
    at: Snapshot = "best"
    theme: ThemeName = "light"


class CalibrationQuery(QueryModel):
    """Whose calibration, and in how many bins."""

    split: Split = Field(default="test", description="The part of the dataset.")
    at: Snapshot = "best"
    bins: int = Field(default=BINS, ge=1, le=100, description="Bins of equal width.")


ModelParams = Annotated[ModelQuery, Query()]
SnapshotParams = Annotated[SnapshotQuery, Query()]
CurveParams = Annotated[CurveQuery, Query()]
CalibrationParams = Annotated[CalibrationQuery, Query()]
PredictionsParams = Annotated[PredictionsQuery, Query()]
FileParams = Annotated[FileQuery, Query()]
EvaluateParams = Annotated[EvaluateQuery, Query()]
ImportanceParams = Annotated[RunImportanceQuery, Query()]
