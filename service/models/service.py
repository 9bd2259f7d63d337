"""What clients do with trained models: predict, draw, take away. The computing is done in a limited process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from service.errors import FieldError, Refusal, SpecRefused, Unavailable, Unprocessable
from service.models.errors import FileLost
from service.models.exports import Exports, metadata_of
from service.models.inputs import rows_of
from service.models.weights import REPLACED_SECONDS, At, Kept, KeptModels, replaced
from service.runs.errors import NotMeasured
from service.runs.run import History, Run
from service.runs.thinning import thinned
from service.sandbox.predicting.messages import (
    Answer,
    BestEpoch,
    Chosen,
    DrawCurve,
    DrawGrid,
    Export,
    ModelFile,
    Predict,
    Refused,
    Theme,
)
from service.sandbox.predictor import Limited
from service.sandbox.serial_queue import Turns
from service.settings import Settings
from worker.spec.families.dataset import Dataset
from worker.spec.run import RunSpec

MOST_POINTS = 2000
"""Epochs of a picture; more are not to be seen."""
EXPORT_TRIES = 3
"""A file that was exported may be pushed out of the cache before it is opened."""
LOSSES = ("train.loss", "train.loss_eval", "val.loss", "test.loss")


Asked = tuple[Sequence[Any] | None, Chosen | None]
"""Rows that were brought along, or the rows of the dataset that are meant."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model makes of some rows."""

    kept: Kept
    chosen: Chosen | None
    classes: Sequence[str]
    """None where the target is a number."""
    outputs: NDArray[np.float32]
    """Probabilities (rows, classes), or numbers (rows, 1)."""
    labels: Sequence[int] | None
    """The true ones, of rows of the dataset."""
    targets: Sequence[float] | None
    """Likewise, where they are numbers."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """How a picture of curves is to be."""

    form: Literal["png", "svg"]
    width: int
    height: int
    log: bool
    theme: Theme


class Models(KeptModels):
    """The models of runs in one database, in one data directory, as far as the caller may see them."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._exports = Exports(settings.cache / "onnx", settings.max_cache_bytes)
        self._limited = Limited(
            datasets=settings.datasets,
            cache=settings.cache,
            memory=settings.predict_memory_bytes,
            seconds=settings.predict_seconds,
        )
        self._unpacking = Turns(settings.predict_seconds)
        """What a body says in JSON takes fifty times as much memory as its text."""

    @property
    def process_id(self) -> int | None:
        """Of the limited process, where there is one."""
        return self._limited.pid

    async def close(self) -> None:
        """End the limited process."""
        await self._limited.close()

    async def onnx(self, run_id: str, at: At) -> tuple[Kept, BufferedReader, str]:
        """A run's model as ONNX, and its digest.

        Raises:
            RunNotFound, NotMeasured: there is none.
            FileLost: there was one.
            Unprocessable: the model has no ONNX.
            Unavailable, TookTooLong: it could not be made now.
        """
        for _ in range(EXPORT_TRIES):
            kept = await asyncio.to_thread(self.find, run_id, at)
            path = self._exports.target(kept)
            found = await asyncio.to_thread(self._exports.opened, path)
            if found is not None:
                return kept, *found

            def export(model: ModelFile, kept: Kept) -> Export:
                return Export(model=model, metadata=metadata_of(kept), target=str(self._exports.target(kept)))

            kept, answer, _ = await self._asked(run_id, at, export)
            assert answer.sha256 is not None
            await asyncio.to_thread(self._exports.written, self._exports.target(kept), answer.sha256)
        raise Unavailable("The file is removed as fast as it is made; FITWELL_MAX_CACHE_BYTES may be too small for it.")

    async def predict(self, run_id: str, at: At, asked: Callable[[], Asked]) -> Predictions:
        """What the model says of the rows that are ``asked`` for, which is told when there is room to hear it.

        Raises:
            RunNotFound, NotMeasured: there is no model.
            FileLost: there was one.
            SpecRefused: the rows are not such as the model takes.
            Unprocessable: the model needs more memory than there is for it.
            Unavailable, TookTooLong: it could not be done now.
        """
        async with self._unpacking.own():
            dataset, chosen, content = await asyncio.to_thread(self._unpacked, run_id, at, asked)
        kept, answer, found = await self._asked(
            run_id, at, lambda model, _: Predict(model=model, chosen=chosen), content
        )
        outputs, classes = np.frombuffer(found, "<f4").reshape(-1, dataset.outputs), dataset.classes
        true, numbers = answer.labels, answer.targets
        return Predictions(kept=kept, chosen=chosen, classes=classes, outputs=outputs, labels=true, targets=numbers)

    def _unpacked(self, run_id: str, at: At, asked: Callable[[], Asked]) -> tuple[Dataset, Chosen | None, bytes]:
        """The run's dataset, and the rows that are asked for, as numbers in a row."""
        inputs, chosen = asked()
        dataset = RunSpec.of(self.find(run_id, at).spec).dataset
        if inputs is None:
            return dataset, chosen, b""
        rows = rows_of(inputs, dataset.shape, self._settings.max_predict_rows)
        return dataset, chosen, rows.astype("<f4").tobytes()

    async def grid(self, run_id: str, at: At, chosen: Chosen, theme: Theme) -> bytes:
        """A picture of rows with their true and predicted classes.

        Raises:
            RunNotFound, NotMeasured: there is no model.
            FileLost: there was one.
            SpecRefused: there are no such rows.
            Unprocessable: they are no images, or it needs more memory than there is for it.
            Unavailable, TookTooLong: it could not be done now.
        """

        def order(model: ModelFile, kept: Kept) -> DrawGrid:
            rows = f"{chosen.split} rows {chosen.indices[0]} to {chosen.indices[-1]}"
            title = f"{kept.title}: {rows}, {kept.at} epoch {kept.file.epoch}"
            return DrawGrid(model=model, chosen=chosen, title=title, theme=theme)

        _, _, picture = await self._asked(run_id, at, order)
        return picture

    async def curve(self, run: Run, history: History, metrics: Sequence[str] | None, canvas: Canvas) -> bytes:
        """A picture of a run's series, by default its losses.

        Raises:
            NotMeasured: nothing is recorded yet.
            SpecRefused: there is no such series, or nothing of it can be drawn.
            Unavailable, TookTooLong: it could not be done now.
        """
        if not history.epoch:
            raise NotMeasured(f"No epoch of {run.id} is recorded yet; it is {run.status!r}.")
        names = [name for name in LOSSES if name in history.series] if metrics is None else metrics
        for name in names:
            if name not in history.series:
                message = f"{run.id} has no series {name!r}; it has {', '.join(history.series)}."
                raise SpecRefused(message, errors=[FieldError("metrics", "no_series", message, list(history.series))])
        shown = thinned(history, MOST_POINTS)
        order = DrawCurve(
            title=run.name or run.id,
            epochs=tuple(shown.epoch),
            series={name: tuple(shown.series[name]) for name in names},
            best=BestEpoch.model_validate(run.best) if run.best else None,
            **vars(canvas),
        )
        reply, picture = await self._limited.ask(order)
        if isinstance(reply, Refused):
            raise refusal_of(reply)
        return picture

    async def _asked(
        self, run_id: str, at: At, order: Callable[[ModelFile, Kept], Predict | Export | DrawGrid], content: bytes = b""
    ) -> tuple[Kept, Answer, bytes]:
        """What the limited process makes of a run's model, as its files are now."""
        until = time.monotonic() + REPLACED_SECONDS
        while True:
            kept = await asyncio.to_thread(self.find, run_id, at)
            await asyncio.to_thread(self._bring, kept)
            reply, found = await self._limited.ask(order(self._model_file(kept), kept), content)
            if isinstance(reply, Answer):
                return kept, reply, found
            if reply.reason != "file_altered":
                raise refusal_of(reply)
            if (await asyncio.to_thread(self.find, run_id, at)).file == kept.file:
                raise FileLost(f"{reply.message} These are {kept.told()}")
            if time.monotonic() > until:
                raise replaced(kept)


def refusal_of(reply: Refused) -> Refusal:
    """What a caller is told."""
    if reply.reason == "no_such_row":
        return SpecRefused(reply.message, errors=[FieldError(f"/indices/{reply.place}", reply.reason, reply.message)])
    if reply.reason == "no_data":
        return SpecRefused(reply.message, errors=[FieldError("/split", "dataset_missing", reply.message)])
    if reply.reason == "no_positive_value":
        return SpecRefused(reply.message, errors=[FieldError("metrics", reply.reason, reply.message)])
    if reply.reason == "no_space":
        return Unavailable(reply.message)
    return Unprocessable(reply.message)
