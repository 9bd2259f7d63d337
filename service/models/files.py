"""Models applied to files and to other datasets.

A file is parsed by a process of its own, and predicted by the predictor process. It has all columns that the model
uses, in any order; others are ignored with a note.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from service.errors import SpecRefused
from service.models.service import Models, Predictions
from service.models.weights import ModelWeights, replaced_too_often
from service.runs.saved_weights import At
from service.sandbox import parser
from service.sandbox.parser import FileRows
from service.sandbox.parsing.options import Files, KnownColumn, Limits, MergeTask, Options, RowsTask
from service.sandbox.predicting.messages import Describe, Evaluate, Importance, Predict, RowsFile, Split, TableNotes
from service.settings import Settings
from worker.spec.run import RunSpec

BATCH_CELLS = 2_000_000
"""Cells of a file that one order predicts, at most."""
OUTPUT_BYTES = 4
Part = Literal["test", "train", "all"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a model on given rows, beside those of guessing."""

    weights: ModelWeights
    dataset: str | None
    split: Part | None
    rows: int
    metrics: Mapping[str, float | None]
    baseline: Mapping[str, float | None]
    table: TableNotes


@dataclass(frozen=True, kw_only=True)
class ColumnImportance:
    """How much worse a model gets if the values of a column are permuted."""

    column: str
    values: list[float]
    """The increase of the loss, or the decrease of a score, in each repeat."""


@dataclass(frozen=True, kw_only=True)
class ModelImportance:
    """The importance of a model's columns, the most important one first."""

    weights: ModelWeights
    split: Split
    metric: str
    rows: int
    value: float | None
    """The metric of the rows as they are."""
    columns: list[ColumnImportance]


@dataclass(frozen=True, kw_only=True)
class ImportanceQuestion:
    """How the importance of columns is measured."""

    split: Split
    metric: str
    repeats: int
    rows: int
    """Rows at most."""


class ModelFiles:
    """The models of the runs that the caller may see, applied to files and to other datasets."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self._models = models
        self._settings = settings

    async def predict(self, run_id: str, at: At, files: Files, options: Options) -> Predictions:
        """Predict the rows of a file.

        Raises:
            DataRefused: The file has no rows with the model's columns.
            SpecRefused: It has more rows than a response.
            Unprocessable: The model was not trained on a typed table.
        """
        weights, rows = await self._read(run_id, at, files, options)
        most = self._settings.max_predict_rows
        if rows.rows > most:
            message = (
                f"The file has {rows.rows:,} rows; a response has at most {most:,} (FITWELL_MAX_PREDICT_ROWS). "
                "POST it to /predictions, which answers with a file."
            )
            raise SpecRefused.at("", "wrong_count", message)
        dataset = RunSpec.of(weights.spec).dataset
        data = await self._outputs(weights, files, 0, rows.rows)
        outputs = np.frombuffer(data, "<f4").reshape(-1, dataset.outputs)
        return Predictions(
            weights=weights,
            chosen=None,
            classes=dataset.classes,
            outputs=outputs,
            labels=None,
            targets=None,
            table=_notes(rows, rows.notes),
        )

    async def with_predictions(
        self, run_id: str, at: At, files: Files, options: Options, form: Literal["csv", "parquet"]
    ) -> tuple[Path, TableNotes]:
        """Return a file of the rows with the predictions beside them, and how the rows were read.

        Raises:
            DataRefused: The file has no rows with the model's columns.
            SpecRefused: The predictions are larger than a dataset may be.
            Unprocessable: The model was not trained on a typed table.
        """
        weights, rows = await self._read(run_id, at, files, options)
        dataset = RunSpec.of(weights.spec).dataset
        size, most = rows.rows * dataset.outputs * OUTPUT_BYTES, self._settings.max_dataset_bytes
        if size > most:
            message = f"The predictions would be {size:,} bytes; at most {most:,} work (FITWELL_MAX_DATASET_BYTES)."
            raise SpecRefused.at("", "too_large", f"{message} Send fewer rows.")
        step = max(1, BATCH_CELLS // max(dataset.shape[0], 1))
        with files.outputs.open("xb") as file:
            for first in range(0, rows.rows, step):
                file.write(await self._outputs(weights, files, first, min(step, rows.rows - first)))
        task = MergeTask(form=form, columns=tuple(rows.columns), classes=dataset.classes)
        path = await asyncio.to_thread(parser.merge, files.path, options, self._limits, task)
        return path, _notes(rows, rows.notes)

    async def evaluate_file(
        self, run_id: str, at: At, files: Files, options: Options, target: str | None
    ) -> Evaluation:
        """Score a model on the rows of a file, whose column ``target`` has the true values.

        Raises:
            DataRefused: The file has no rows with the model's columns and classes.
            SpecRefused: The name of the target is unknown.
            Unprocessable: The model was not trained on a typed table.
        """
        weights, rows = await self._read(run_id, at, files, options, with_target=True, target=target)
        file = RowsFile(path=str(files.data), first=0, count=rows.rows)
        _, _, data = await self._models.compute(run_id, at, lambda model, _: Evaluate(model=model, file=file))
        result = json.loads(data)
        notes = (*rows.notes, *result.pop("table")["notes"])
        return Evaluation(weights=weights, dataset=None, split=None, table=_notes(rows, notes), **result)

    async def evaluate(self, run_id: str, at: At, dataset: str, split: Part) -> Evaluation:
        """Score a model on a part of another dataset, by id or kind.

        Raises:
            SpecRefused: The dataset does not exist.
            Sealed: It is the run's own, and its test part is sealed.
            Unprocessable: Its columns, classes or shape are not those of the model.
        """
        other = await asyncio.to_thread(self._models.dataset, run_id, dataset, None if split == "train" else "test")
        body = other.model_dump(mode="json")
        weights, _, data = await self._models.compute(
            run_id, at, lambda model, _: Evaluate(model=model, dataset=body, part=split)
        )
        result = json.loads(data)
        table = TableNotes.model_validate(result.pop("table"))
        return Evaluation(weights=weights, dataset=dataset, split=split, table=table, **result)

    async def importance(self, run_id: str, at: At, question: ImportanceQuestion) -> ModelImportance:
        """Return how much worse the model gets if the values of each column are permuted.

        Raises:
            SpecRefused: The split has no rows, or the dataset is missing.
            Sealed: They are test rows, and the run's study is still searching.
            Unprocessable: Rows are images, or the model has no such metric.
        """
        if (cached := await self.cached_importance(run_id, at, question)) is not None:
            return cached
        parameters = asdict(question)
        weights, _, data = await self._models.compute(
            run_id, at, lambda model, _: Importance(model=model, **parameters)
        )
        self._models.importances.add(_key(weights, question), data)
        return _importance(weights, question, data)

    async def cached_importance(self, run_id: str, at: At, question: ImportanceQuestion) -> ModelImportance | None:
        """Return the importance of a model's columns if it is cached, else None.

        Raises:
            SpecRefused: The split has no rows.
            Sealed: They are test rows, and the run's study is still searching.
        """
        weights = await asyncio.to_thread(self._models.check_rows, run_id, at, question.split)
        data = self._models.importances.get(_key(weights, question))
        return None if data is None else _importance(weights, question, data)

    async def _read(
        self,
        run_id: str,
        at: At,
        files: Files,
        options: Options,
        *,
        with_target: bool = False,
        target: str | None = None,
    ) -> tuple[ModelWeights, FileRows]:
        """Parse the rows of a file as the columns of a model."""
        weights, _, data = await self._models.compute(run_id, at, lambda model, _: Describe(model=model))
        described = json.loads(data)
        name = target or described["target"]
        if with_target and name is None:
            message = (
                "The name of the target is not known, because the dataset is not on this machine; pass target=NAME."
            )
            raise SpecRefused.at("target", "no_target", message)
        columns = tuple(KnownColumn(**{**one, "levels": tuple(one["levels"])}) for one in described["columns"])
        classes = tuple(described["classes"])
        task = RowsTask(columns=columns, target=name if with_target else None, classes=classes)
        if with_target:
            task = replace(task, weight=await asyncio.to_thread(self._models.weight_column, weights))
        options = await asyncio.to_thread(self._with_defaults, weights, options)
        return weights, await asyncio.to_thread(parser.read_rows, files.path, options, self._limits, task)

    def _with_defaults(self, weights: ModelWeights, options: Options) -> Options:
        """Return options with those by which the dataset was read, as far as they concern cells."""
        stored = self._models.reading_options(weights)
        missing = options.missing or tuple(stored.get("missing", ()))
        return replace(options, missing=missing, decimal=options.decimal or stored.get("decimal"))

    async def _outputs(self, weights: ModelWeights, files: Files, first: int, count: int) -> bytes:
        """Return the model's outputs for some rows.

        Raises:
            Unavailable: Better weights replaced those that the file was begun with.
        """
        file = RowsFile(path=str(files.data), first=first, count=count)
        current, _, data = await self._models.compute(
            weights.run_id, weights.at, lambda model, _: Predict(model=model, file=file)
        )
        if current.file != weights.file:
            raise replaced_too_often(weights)
        return data

    @property
    def _limits(self) -> Limits:
        return Limits(
            memory_bytes=self._settings.upload_memory_bytes,
            dataset_bytes=self._settings.max_dataset_bytes,
            seconds=self._settings.upload_seconds,
        )


def _notes(rows: FileRows, notes: Sequence[str]) -> TableNotes:
    return TableNotes(missing=rows.missing, unseen=rows.unseen, notes=tuple(notes))


def _key(weights: ModelWeights, question: ImportanceQuestion) -> Hashable:
    """Return everything that the importance of a model's columns depends on."""
    return weights.spec_hash, weights.file.sha256, question


def _importance(weights: ModelWeights, question: ImportanceQuestion, data: bytes) -> ModelImportance:
    """Return the importance of a model's columns from the predictor process's reply."""
    result = json.loads(data)
    columns = sorted((ColumnImportance(**one) for one in result.pop("columns")), key=lambda one: -sum(one.values))
    return ModelImportance(weights=weights, split=question.split, metric=question.metric, columns=columns, **result)
