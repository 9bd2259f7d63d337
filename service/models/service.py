"""Operations on trained models: predict, draw, export. A sandboxed process does the computing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from service.errors import SpecRefused, Unavailable
from service.models.calibration import ModelReliability, check_classes
from service.models.errors import FileLost
from service.models.exports import Exports, Form, metadata_of
from service.models.inputs import check_count, parse_rows
from service.models.refusals import refusal_of
from service.models.result_cache import ResultCache
from service.models.scratch import Scratch
from service.models.weights import REPLACED_SECONDS, ModelWeights, StoredModels, replaced_too_often
from service.runs.errors import NotMeasured
from service.runs.run import History, Run
from service.runs.saved_weights import At
from service.runs.thinning import thinned
from service.sandbox.predicting.messages import (
    Answer,
    BestEpoch,
    Calibrate,
    Chosen,
    DrawCurve,
    DrawGrid,
    Export,
    Message,
    ModelFile,
    Predict,
    Refused,
    Split,
    TableNotes,
    Theme,
)
from service.sandbox.predictor import Predictor
from service.sandbox.serial_queue import SerialQueue
from service.settings import Settings
from worker.spec.families.dataset import Dataset
from worker.spec.run import RunSpec
from worker.spec.tables.dataset import is_typed_table

MAX_POINTS = 2000
"""Epochs drawn; more could not be distinguished."""
EXPORT_ATTEMPTS = 3
"""An exported file may be evicted from the cache before it is opened."""
IMPORTANCE_CACHE_BYTES, OUTPUT_CACHE_BYTES = 2**26, 2**27
LOSSES = ("train.loss", "train.loss_eval", "val.loss", "test.loss")

RequestedRows = tuple[Sequence[Any] | None, Chosen | None]
"""Rows in the request, or selected rows of the dataset."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A model's predictions of some rows."""

    weights: ModelWeights
    chosen: Chosen | None
    classes: Sequence[str]
    """Empty for regression."""
    outputs: NDArray[np.float32]
    """Probabilities (rows, classes), or numbers (rows, 1)."""
    labels: Sequence[int] | None
    """The true labels, for rows of the dataset."""
    targets: Sequence[float] | None
    """The true numbers, for rows of the dataset in regression."""
    table: TableNotes
    """How rows of a typed table were read."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """The format, size and style of a picture of curves."""

    form: Literal["png", "svg"]
    width: int
    height: int
    log: bool
    theme: Theme


class Models(StoredModels):
    """The models of the runs that the caller may see."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._exports = Exports(settings.cache / "onnx", settings.max_cache_bytes)
        self._predictor = Predictor(
            datasets=settings.datasets,
            cache=settings.cache,
            memory=settings.predict_memory_bytes,
            seconds=settings.predict_seconds,
        )
        self.scratch = Scratch(settings.cache / "predicting", settings.uploads_at_once)
        """Directories for files to predict."""
        self.importances = ResultCache(IMPORTANCE_CACHE_BYTES)
        """The importance of the columns of models, as the predictor process replies."""
        self.outputs = ResultCache(OUTPUT_CACHE_BYTES)
        """Outputs for all rows of a split, and what follows from them."""
        self._unpacking = SerialQueue(settings.predict_seconds)
        """Decodes one request at a time: decoded JSON takes fifty times as much memory as its text."""

    @property
    def process_id(self) -> int | None:
        """The predictor process's id; None if it is not running."""
        return self._predictor.pid

    async def close(self) -> None:
        """Stop the predictor process."""
        await self._predictor.close()

    async def export(self, run_id: str, at: At, form: Form) -> tuple[ModelWeights, BufferedReader, str]:
        """Return a run's model as an ONNX or Python file, and its digest.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run has no weights of this epoch.
            FileLost: The weights are missing or altered.
            Unprocessable: The form cannot represent the model.
            Unavailable, TookTooLong: The export is not possible at the moment.
        """
        for _ in range(EXPORT_ATTEMPTS):
            weights = await asyncio.to_thread(self.find, run_id, at)
            path = self._exports.target(weights, form)
            cached = await asyncio.to_thread(self._exports.open, path)
            if cached is not None:
                return weights, *cached

            def export(model: ModelFile, weights: ModelWeights) -> Export:
                target = str(self._exports.target(weights, form))
                return Export(model=model, metadata=metadata_of(weights), target=target, form=form)

            weights, answer, _ = await self.compute(run_id, at, export)
            assert answer.sha256 is not None
            await asyncio.to_thread(self._exports.add, self._exports.target(weights, form), answer.sha256)
        raise Unavailable("Exported files are evicted before they can be read. Raise FITWELL_MAX_CACHE_BYTES.")

    async def predict(self, run_id: str, at: At, decode: Callable[[], RequestedRows]) -> Predictions:
        """Predict the rows that ``decode`` returns; it is called once there is memory for them.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run has no weights of this epoch.
            FileLost: The weights are missing or altered.
            SpecRefused: The rows do not fit the model.
            Sealed: They are test rows, and the run's study is still searching.
            Unprocessable: The predictions need too much memory.
            Unavailable, TookTooLong: The prediction is not possible at the moment.
        """
        async with self._unpacking.slot():
            dataset, chosen, content = await asyncio.to_thread(self._decoded, run_id, at, decode)
            missing = await asyncio.to_thread(self._missing_texts, run_id, at) if is_typed_table(dataset) else ()
        weights, answer, data = await self.compute(
            run_id, at, lambda model, _: Predict(model=model, chosen=chosen, missing=missing), content
        )
        return Predictions(
            weights=weights,
            chosen=chosen,
            classes=dataset.classes,
            outputs=np.frombuffer(data, "<f4").reshape(-1, dataset.outputs),
            labels=answer.labels,
            targets=answer.targets,
            table=answer.table or TableNotes(),
        )

    def _missing_texts(self, run_id: str, at: At) -> tuple[str, ...]:
        """Return the texts that stand for a missing value in the run's dataset, as its owner named them."""
        return tuple(self.reading_options(self.find(run_id, at)).get("missing", ()))

    def _decoded(
        self, run_id: str, at: At, decode: Callable[[], RequestedRows]
    ) -> tuple[Dataset, Chosen | None, bytes]:
        """Return the run's dataset, the selection of its rows, and rows from the request as the process reads them."""
        inputs, chosen = decode()
        self.check_unsealed(run_id, None if chosen is None else chosen.split)
        dataset = RunSpec.of(self.find(run_id, at).spec).dataset
        if inputs is None:
            return dataset, chosen, b""
        check_count(inputs, self._settings.max_predict_rows)
        if is_typed_table(dataset):
            return dataset, chosen, json.dumps(inputs).encode()
        rows = parse_rows(inputs, dataset.shape)
        return dataset, chosen, rows.astype("<f4").tobytes()

    async def calibration(self, run_id: str, at: At, split: Split, bins: int) -> ModelReliability:
        """Return the reliability of a model's probabilities on all rows of a split.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run has no weights of this epoch, or a numeric target.
            FileLost: The weights are missing or altered.
            SpecRefused: The split has no rows, or the dataset is missing.
            Sealed: They are test rows, and the run's study is still searching.
            Unprocessable: Outputs are not numbers, ONNX cannot represent the model, or it needs too much memory.
            Unavailable, TookTooLong: The computation is not possible at the moment.
        """
        model = await asyncio.to_thread(self.find, run_id, at)
        check_classes(model)
        await asyncio.to_thread(self.check_rows, run_id, at, split)
        weights, _, data = await self.compute(run_id, at, lambda model, _: Calibrate(model=model, split=split))
        return await asyncio.to_thread(ModelReliability.of, weights, split, data, bins)

    async def grid(self, run_id: str, at: At, chosen: Chosen, theme: Theme, wrong: int | None = None) -> bytes:
        """Return a picture of the chosen images, or of ``wrong`` images from that row on, with both classes.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run has no weights of this epoch.
            FileLost: The weights are missing or altered.
            SpecRefused: The dataset has no such rows, or the model predicts all of them right.
            Sealed: They are test rows, and the run's study is still searching.
            Unprocessable: The rows are not images, or the picture needs too much memory.
            Unavailable, TookTooLong: The picture is not possible at the moment.
        """

        def order(model: ModelFile, weights: ModelWeights) -> DrawGrid:
            rows = "wrong rows" if wrong else f"rows {chosen.indices[0]} to {chosen.indices[-1]}"
            title = f"{weights.title}: {chosen.split} {rows}, {weights.at} epoch {weights.file.epoch}"
            return DrawGrid(model=model, chosen=chosen, wrong=wrong, title=title, theme=theme)

        await asyncio.to_thread(self.check_unsealed, run_id, chosen.split)
        _, _, picture = await self.compute(run_id, at, order)
        return picture

    async def curve(self, run: Run, history: History, metrics: Sequence[str] | None, canvas: Canvas) -> bytes:
        """Return a chart of a run, by default of its losses.

        Raises:
            NotMeasured: The run has no recorded epoch.
            SpecRefused: The run has no such series, or the series cannot be drawn.
            Unavailable, TookTooLong: The picture is not possible at the moment.
        """
        if not history.epoch:
            raise NotMeasured(f"{run.id} has no recorded epoch yet; it is {run.status!r}.")
        names = [name for name in LOSSES if name in history.series] if metrics is None else metrics
        for name in names:
            if name not in history.series:
                message = f"{run.id} has no series {name!r}; it has {', '.join(history.series)}."
                raise SpecRefused.at("metrics", "no_series", message, allowed=list(history.series))
        points = thinned(history, MAX_POINTS)
        order = DrawCurve(
            title=run.name or run.id,
            epochs=tuple(points.epoch),
            series={name: tuple(points.series[name]) for name in names},
            best=BestEpoch.model_validate(run.best) if run.best else None,
            axis=RunSpec.of(run.spec).model.epoch_name,
            guessing=_guessing(names, run.baseline or {}),
            **vars(canvas),
        )
        reply, picture = await self._predictor.call(order)
        if isinstance(reply, Refused):
            raise refusal_of(reply)
        return picture

    async def compute(
        self,
        run_id: str,
        at: At,
        order: Callable[[ModelFile, ModelWeights], Message],
        content: bytes = b"",
    ) -> tuple[ModelWeights, Answer, bytes]:
        """Send an order about a run's current model to the predictor process; retry while the file is replaced.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run has no weights of this epoch.
            FileLost: The weights are missing or altered.
            Unavailable, TookTooLong: The computation is not possible at the moment.
        """
        until = time.monotonic() + REPLACED_SECONDS
        while True:
            weights = await asyncio.to_thread(self.find, run_id, at)
            await asyncio.to_thread(self._fetch_files, weights)
            reply, data = await self._predictor.call(order(self._model_file(weights), weights), content)
            if isinstance(reply, Answer):
                return weights, reply, data
            if reply.reason != "file_altered":
                raise refusal_of(reply)
            if (await asyncio.to_thread(self.find, run_id, at)).file == weights.file:
                raise FileLost(f"{reply.message} These are {weights.advice_if_lost}")
            if time.monotonic() > until:
                raise replaced_too_often(weights)


def _guessing(names: Sequence[str], baseline: Mapping[str, float | None]) -> dict[str, float]:
    """Return what predictions that ignore the inputs get by the first of the series on held-out rows, by label."""
    held_out = next((name for name in names if not name.startswith("train.") and name in baseline), None)
    levels = {f"guessing {held_out}": held_out, f"last value {held_out}": f"{held_out}_last_value"}
    return {label: level for label, name in levels.items() if (level := baseline.get(name or "")) is not None}
