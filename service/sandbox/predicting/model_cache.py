"""Models and datasets as they were used last, ready to be used again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.messages import Chosen, ModelFile, Reason
from worker.spec.families.dataset import Arrays, Dataset
from worker.spec.graph import INPUT, PREDICTION, PROBABILITIES, NoGraph, Scaling, onnx_of
from worker.spec.orders import parted
from worker.spec.run import RunSpec

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ROWS_AT_ONCE = (256, 16, 1)
"""Rows that go through a model together; fewer where they need more memory than there is."""
SHORT_OF_MEMORY = ("Failed to serialize proto", "bad_alloc", "bad allocation", "Failed to allocate", "out of memory")


class CannotBeDone(Exception):
    """What was asked for cannot be done; the message says why and what would work."""

    def __init__(self, reason: Reason, message: str, place: int | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.place = place


class Loaded(NamedTuple):
    """A model that can compute."""

    spec: RunSpec
    session: InferenceSession
    bytes: int


class Rows(NamedTuple):
    """Rows of a dataset: raw (n, *shape), and their targets: int64 labels, or float64 numbers."""

    x: NDArray[Any]
    y: NDArray[Any]


class Shelf:
    """Keeps what was used last: models up to ``most_bytes`` of weights, and one dataset."""

    def __init__(self, datasets: Path, most_bytes: int) -> None:
        self._datasets = datasets
        self._most_bytes = most_bytes
        self._models: OrderedDict[tuple[str, str], Loaded] = OrderedDict()
        self._arrays: dict[str, Arrays] = {}

    def clear(self) -> None:
        """Keep nothing."""
        self._models.clear()
        self._arrays.clear()

    def model(self, file: ModelFile) -> Loaded:
        """The model in ``file``.

        Raises:
            CannotBeDone: the file is not what was recorded, or is nothing that ONNX could hold.
        """
        key = (file.sha256, file.spec_hash)
        if key not in self._models:
            spec, content = self.drawn(file, {})
            self._models[key] = Loaded(spec, _session(content), len(content))
        self._models.move_to_end(key)
        while len(self._models) > 1 and sum(one.bytes for one in self._models.values()) > self._most_bytes:
            self._models.popitem(last=False)
        return self._models[key]

    def rows(self, spec: RunSpec, chosen: Chosen) -> Rows:
        """The rows chosen of the model's dataset.

        Raises:
            CannotBeDone: the data are not on this machine, or there is no such row.
        """
        dataset, arrays = spec.dataset, self._data(spec.dataset)
        if chosen.split == "test":
            x, y, there = arrays.test_x, arrays.test_y, np.arange(len(arrays.test_y))
        else:
            train, held_out = parted(dataset, arrays.train_y)
            x, y, there = arrays.train_x, arrays.train_y, train if chosen.split == "train" else held_out
        for place, index in enumerate(chosen.indices):
            if index >= len(there):
                known = f"are 0 to {len(there) - 1}" if len(there) else "are none"
                raise CannotBeDone(
                    "no_such_row", f"There is no row {index}: the rows of {chosen.split!r} {known}.", place
                )
        wanted = there[list(chosen.indices)]
        return Rows(x[wanted], y[wanted])

    def _data(self, dataset: Dataset) -> Arrays:
        digest = dataset.digest()
        if digest not in self._arrays:
            try:
                self._arrays = {digest: dataset.load(self._datasets)}
            except FileNotFoundError as error:
                raise CannotBeDone("no_data", str(error)) from error
        return self._arrays[digest]

    def drawn(self, file: ModelFile, metadata: dict[str, str]) -> tuple[RunSpec, bytes]:
        """The spec of the model in ``file``, and the model as ONNX.

        Raises:
            CannotBeDone: the file is not what was recorded, ONNX could not hold it, or it needs data that are gone.
        """
        from safetensors.numpy import load  # noqa: PLC0415 - a picture of a curve needs none of it

        try:
            content = Path(file.path).read_bytes()
        except OSError as error:
            raise CannotBeDone("file_altered", f"The weights cannot be read ({error.strerror}).") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise CannotBeDone("file_altered", "The weights are not what was written (their SHA-256 differs).")
        spec = RunSpec.of(file.spec)
        try:
            return spec, onnx_of(spec, load(content), metadata, scaling=self._scaling(spec.dataset))
        except NoGraph as error:
            raise CannotBeDone("no_graph", str(error)) from error

    def _scaling(self, dataset: Dataset) -> Scaling | None:
        """How the model was shown its data, where that was learned from the rows that it was trained on."""
        if not dataset.learns_scaling and dataset.task == "classification":
            return None
        arrays = self._data(dataset)
        train, _ = parted(dataset, arrays.train_y)
        return Scaling(*dataset.scaling(arrays.train_x[train]), *dataset.target_scaling(arrays.train_y[train]))


def _session(content: bytes) -> InferenceSession:
    """A session on one thread, with nothing kept for later: a model takes what its weights take."""
    import onnxruntime  # noqa: PLC0415 - a picture of a curve needs none of it

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def predictions(loaded: Loaded, x: NDArray[Any]) -> NDArray[np.float32]:
    """The probability of each class for each row (n, classes), or where the target is a number, that (n, 1).

    Raises:
        MemoryError: not even one row fits into the memory that this process may use.
    """
    for count in ROWS_AT_ONCE:
        try:
            return np.concatenate([_run(loaded, x[i : i + count]) for i in range(0, len(x), count)])
        except Exception as error:
            if not short_of_memory(error):
                raise
    raise MemoryError("not even one row fits")


def short_of_memory(error: Exception) -> bool:
    """Whether this is how Python or onnxruntime says that there is no memory left."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in SHORT_OF_MEMORY)


def _run(loaded: Loaded, x: NDArray[Any]) -> NDArray[np.float32]:
    asked = PROBABILITIES if loaded.spec.dataset.task == "classification" else PREDICTION
    (found,) = loaded.session.run([asked], {INPUT: x.astype(np.float32)})
    answer: NDArray[np.float32] = found
    return answer
