"""A cache of the models and the dataset used last."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.messages import Chosen, ModelFile, Reason, Split
from worker.spec.families.dataset import Arrays, Dataset
from worker.spec.graph import INPUT, PREDICTION, PROBABILITIES, NoGraph, Scaling, onnx_of
from worker.spec.rng import parted
from worker.spec.run import RunSpec

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCH_SIZES = (256, 16, 1)
"""Rows predicted together; smaller batches are tried if memory runs out."""
BLOCK_ROWS = 1024
"""Rows that are loaded together if all are predicted."""
MEMORY_ERRORS = ("Failed to serialize proto", "bad_alloc", "bad allocation", "Failed to allocate", "out of memory")


class OrderRefused(Exception):
    """An order cannot be served; the message says why and what would work."""

    def __init__(self, reason: Reason, message: str, place: int | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.place = place


class Loaded(NamedTuple):
    """A model ready to predict."""

    spec: RunSpec
    session: InferenceSession
    bytes: int


class Rows(NamedTuple):
    """Rows of a dataset: raw (n, *shape), and their targets: int64 labels, or float64 numbers."""

    x: NDArray[Any]
    y: NDArray[Any]


class ModelCache:
    """The models used last, up to ``max_bytes`` of weights, and the dataset used last."""

    def __init__(self, datasets: Path, max_bytes: int) -> None:
        self._datasets = datasets
        self._max_bytes = max_bytes
        self._models: OrderedDict[tuple[str, str], Loaded] = OrderedDict()
        self._arrays: dict[str, Arrays] = {}

    def clear(self) -> None:
        """Empty the cache."""
        self._models.clear()
        self._arrays.clear()

    def model(self, file: ModelFile) -> Loaded:
        """Return the model in ``file``.

        Raises:
            OrderRefused: The file does not match its digest, or ONNX cannot represent the model.
        """
        key = (file.sha256, file.spec_hash)
        if key not in self._models:
            spec, content = self.onnx(file, {})
            self._models[key] = Loaded(spec, _session(content), len(content))
        self._models.move_to_end(key)
        while len(self._models) > 1 and sum(one.bytes for one in self._models.values()) > self._max_bytes:
            self._models.popitem(last=False)
        return self._models[key]

    def rows(self, spec: RunSpec, chosen: Chosen) -> Rows:
        """Return the chosen rows of the model's dataset.

        Raises:
            OrderRefused: The dataset is not on this machine, or it has no such row.
        """
        x, y, rows = self._split(spec.dataset, chosen.split)
        for place, index in enumerate(chosen.indices):
            if index >= len(rows):
                extent = f"has the rows 0 to {len(rows) - 1}" if len(rows) else "is empty"
                raise OrderRefused("no_such_row", f"Row {index} does not exist: {chosen.split!r} {extent}.", place)
        selected = rows[list(chosen.indices)]
        return Rows(x[selected], y[selected])

    def blocks(self, spec: RunSpec, split: Split) -> Iterator[Rows]:
        """Yield all rows of a split, ``BLOCK_ROWS`` at a time.

        Raises:
            OrderRefused: The dataset is not on this machine.
        """
        x, y, rows = self._split(spec.dataset, split)
        for first in range(0, len(rows), BLOCK_ROWS):
            selected = rows[first : first + BLOCK_ROWS]
            yield Rows(x[selected], y[selected])

    def _split(self, dataset: Dataset, split: Split) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
        """Return inputs and targets of the dataset's rows, and the indices of those of the split."""
        arrays = self._data(dataset)
        if split == "test":
            return arrays.test_x, arrays.test_y, np.arange(len(arrays.test_y))
        train, held_out = parted(dataset, arrays)
        return arrays.train_x, arrays.train_y, train if split == "train" else held_out

    def _data(self, dataset: Dataset) -> Arrays:
        digest = dataset.digest()
        if digest not in self._arrays:
            try:
                self._arrays = {digest: dataset.load(self._datasets)}
            except FileNotFoundError as error:
                raise OrderRefused("no_data", str(error)) from error
        return self._arrays[digest]

    def onnx(self, file: ModelFile, metadata: dict[str, str]) -> tuple[RunSpec, bytes]:
        """Return the spec of the model in ``file``, and the model as ONNX.

        Raises:
            OrderRefused: The file does not match its digest, ONNX cannot represent the model, or its dataset is
                missing.
        """
        from safetensors.numpy import load  # noqa: PLC0415 - not needed to draw curves

        try:
            content = Path(file.path).read_bytes()
        except OSError as error:
            raise OrderRefused("file_altered", f"The weights cannot be read ({error.strerror}).") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise OrderRefused("file_altered", "The weights were altered (their SHA-256 differs).")
        spec = RunSpec.of(file.spec)
        try:
            return spec, onnx_of(spec, load(content), metadata, scaling=self._scaling(spec.dataset))
        except NoGraph as error:
            raise OrderRefused("no_graph", str(error)) from error

    def _scaling(self, dataset: Dataset) -> Scaling | None:
        """Return the scaling learned from the training rows; None if the model uses none."""
        if not dataset.learns_scaling and dataset.task == "classification":
            return None
        arrays = self._data(dataset)
        train, _ = parted(dataset, arrays)
        return Scaling(*dataset.scaling(arrays.train_x[train]), *dataset.target_scaling(arrays.train_y[train]))


def _session(content: bytes) -> InferenceSession:
    """Return a session with one thread and no memory arena, so that a model takes little more than its weights."""
    import onnxruntime  # noqa: PLC0415 - not needed to draw curves

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def predictions(loaded: Loaded, x: NDArray[Any]) -> NDArray[np.float32]:
    """Return class probabilities (n, classes), or numbers (n, 1) in regression.

    Raises:
        MemoryError: A single row exceeds the memory limit.
    """
    for count in BATCH_SIZES:
        try:
            return np.concatenate([_run(loaded, x[i : i + count]) for i in range(0, len(x), count)])
        except Exception as error:
            if not short_of_memory(error):
                raise
    raise MemoryError("a single row does not fit")


def short_of_memory(error: Exception) -> bool:
    """Return whether Python or onnxruntime raised ``error`` because memory ran out."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in MEMORY_ERRORS)


def _run(loaded: Loaded, x: NDArray[Any]) -> NDArray[np.float32]:
    output = PROBABILITIES if loaded.spec.dataset.task == "classification" else PREDICTION
    (values,) = loaded.session.run([output], {INPUT: x.astype(np.float32)})
    result: NDArray[np.float32] = values
    return result
