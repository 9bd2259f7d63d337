"""A cache of the models and the dataset used last."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.dataset_rows import RawRows, Rows, parts_of
from service.sandbox.predicting.guessing import Targets
from service.sandbox.predicting.loaded_models import Loaded, OrderRefused
from service.sandbox.predicting.messages import Chosen, ModelFile, Split
from service.sandbox.predicting.neighbors import Neighbors
from worker.spec.families.dataset import Arrays, Dataset
from worker.spec.graph import NoGraph
from worker.spec.onnx_file import Scaling, onnx_of, scaling_of
from worker.spec.parameter_summary import summary_of
from worker.spec.rng import noisy, parted
from worker.spec.run import RunSpec
from worker.spec.tables.dataset import is_typed_table
from worker.spec.tables.files import description_of
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.rows import TableRows
from worker.spec.torch_source import source_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BLOCK_ROWS = 1024
"""Rows that are loaded together if all are predicted."""


class Stored(NamedTuple):
    """The content of a file of weights."""

    spec: RunSpec
    weights: Mapping[str, NDArray[Any]]
    about: Mapping[str, Any]
    """Facts that the engine recorded beside them."""


class ModelCache:
    """The models used last, up to ``max_bytes`` of weights, and the dataset used last."""

    def __init__(self, datasets: Path, max_bytes: int) -> None:
        self._datasets = datasets
        self._max_bytes = max_bytes
        self._models: OrderedDict[tuple[str, str], Loaded] = OrderedDict()
        self._arrays: dict[str, Arrays] = {}

    @property
    def datasets(self) -> Path:
        """The folder of datasets."""
        return self._datasets

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
            stored = _read(file)
            table, scaling = self._preparation(stored)
            content = _graph(stored, {}, scaling)
            scale = 1.0 if scaling is None else scaling.target_scale
            name = stored.about.get("target_name")
            self._models[key] = Loaded(stored.spec, _session(content), len(content), table, scale, name)
        self._models.move_to_end(key)
        while len(self._models) > 1 and sum(one.bytes for one in self._models.values()) > self._max_bytes:
            self._models.popitem(last=False)
        return self._models[key]

    def rows(self, loaded: Loaded, chosen: Chosen) -> Rows:
        """Return the chosen rows of the model's dataset.

        Raises:
            OrderRefused: The dataset is not on this machine, or it has no such row.
        """
        part, rows = self._split(loaded.spec.dataset, chosen.split)
        for place, index in enumerate(chosen.indices):
            if index >= len(rows):
                extent = f"has the rows 0 to {len(rows) - 1}" if len(rows) else "is empty"
                raise OrderRefused("no_such_row", f"Row {index} does not exist: {chosen.split!r} {extent}.", place)
        return loaded.rows(part.take(rows[list(chosen.indices)]))

    def blocks(self, loaded: Loaded, split: Split) -> Iterator[Rows]:
        """Yield all rows of a split, ``BLOCK_ROWS`` at a time.

        Raises:
            OrderRefused: The dataset is not on this machine.
        """
        return map(loaded.rows, self._raw_blocks(loaded.spec.dataset, split))

    def neighbors(self, file: ModelFile, split: Split) -> tuple[Neighbors, Iterator[Rows]]:
        """Return a model that keeps its training rows, and all rows of a split, (n, D), ``BLOCK_ROWS`` at a time.

        Raises:
            OrderRefused: The file does not match its digest, or the dataset is not on this machine.
        """
        stored = _read(file)
        table, _ = self._preparation(stored)
        dataset = stored.spec.dataset

        def flat(raw: RawRows) -> Rows:
            x = raw.x
            if isinstance(x, TableRows):
                assert table is not None, "the dataset is a typed table, so the model has its preparation"
                x = table.transform(x)
            return Rows(x.reshape(len(x), -1), raw.y, raw.weights)

        part, train = self._split(dataset, "train")
        own = flat(part.take(train))
        neighbors = Neighbors(own.x, noisy(own.y, dataset), int(stored.weights["k"]), len(dataset.classes))
        return neighbors, map(flat, self._raw_blocks(dataset, split))

    def _raw_blocks(self, dataset: Dataset, split: Split) -> Iterator[RawRows]:
        part, rows = self._split(dataset, split)
        for first in range(0, len(rows), BLOCK_ROWS):
            yield part.take(rows[first : first + BLOCK_ROWS])

    def rows_of(self, dataset: Dataset, part: Literal["test", "train", "all"]) -> list[RawRows]:
        """Return raw rows and targets of the parts of any dataset; validation rows belong to the training part.

        Raises:
            OrderRefused: The dataset is not on this machine.
        """
        parts = parts_of(self._data(dataset))
        return [parts[name] for name in parts if part in (name, "all")]

    def training(self, dataset: Dataset) -> Targets | None:
        """Return the targets that the model was trained on; None if the dataset is not on this machine."""
        try:
            arrays = self._data(dataset)
        except OrderRefused:
            return None
        train, _ = parted(dataset, arrays)
        rows = parts_of(arrays)["train"].take(train)
        return Targets(noisy(rows.y, dataset), rows.weights)

    def last_values(self, dataset: Dataset) -> NDArray[Any]:
        """Return the last known target before each test row of a dataset in order of time.

        Raises:
            OrderRefused: The dataset is not on this machine.
        """
        arrays = self._data(dataset)
        known = np.concatenate([arrays.train_y, arrays.test_y])
        values: NDArray[Any] = known[np.maximum(np.arange(len(arrays.train_y), len(known)) - dataset.horizon, 0)]
        return values

    def _split(self, dataset: Dataset, split: Split) -> tuple[RawRows, NDArray[np.int64]]:
        """Return the part of the dataset that has the split, and the indices of the split's rows in it."""
        arrays = self._data(dataset)
        parts = parts_of(arrays)
        if split == "test":
            return parts["test"], np.arange(len(arrays.test_y))
        train, held_out = parted(dataset, arrays)
        return parts["train"], train if split == "train" else held_out

    def _data(self, dataset: Dataset) -> Arrays:
        digest = dataset.digest()
        if digest not in self._arrays:
            try:
                self._arrays = {digest: dataset.load(self._datasets)}
            except FileNotFoundError as error:
                raise OrderRefused("no_data", str(error)) from error
        return self._arrays[digest]

    def onnx(self, file: ModelFile, metadata: dict[str, str]) -> bytes:
        """Return the model in ``file`` as ONNX; inputs are raw rows, or the columns of a typed table.

        Raises:
            OrderRefused: The file does not match its digest, ONNX cannot represent the model, or its dataset is
                missing.
        """
        stored = _read(file)
        table, scaling = self._preparation(stored)
        return _graph(stored, metadata, scaling, table)

    def source(self, file: ModelFile, metadata: dict[str, str]) -> bytes:
        """Return the Python file of the model in ``file``; inputs are raw rows, or the features of a typed table.

        Raises:
            OrderRefused: The file does not match its digest, the model has no layers, or its dataset is missing.
        """
        stored = _read(file)
        table, scaling = self._preparation(stored)
        title = f"{metadata['run_id']}, {metadata['at']} epoch ({metadata['epoch']}), of Fitwell {metadata['fitwell']}."
        try:
            return source_of(stored.spec, title, scaling=scaling, table=table).encode()
        except NoGraph as error:
            raise OrderRefused("no_graph", str(error)) from error

    def parameters(self, file: ModelFile) -> list[dict[str, Any]]:
        """Return a summary of each parameter of the model in ``file``.

        Raises:
            OrderRefused: The file does not match its digest.
        """
        spec, weights, _ = _read(file)
        names = spec.effective_model.parameters(spec.dataset.shape, spec.dataset.outputs)
        return [summary_of(name, weights[name]) for name in names]

    def _preparation(self, stored: Stored) -> tuple[Fitted | None, Scaling | None]:
        """Return what was learned from the training rows: the preparation of a table, and the scaling; None if nothing.

        Raises:
            OrderRefused: The file of weights lacks them, and the dataset is missing.
        """
        dataset = stored.spec.dataset
        if "preparation" in stored.about:
            target = stored.about.get("target", (1.0, 0.0))
            return Fitted.of(stored.about["preparation"]), scaling_of(dataset)._replace(
                target_scale=target[0], target_shift=target[1]
            )
        if not is_typed_table(dataset) and not dataset.learns_scaling and dataset.task == "classification":
            return None, None
        try:
            arrays = self._data(dataset)
        except OrderRefused as error:
            message = f"The model prepares rows by its training rows, which its weights do not include. {error}"
            raise OrderRefused("no_preparation", message) from error
        train, _ = parted(dataset, arrays)
        inputs = dataset.scaling(arrays.train_x[train])
        return dataset.fitted(arrays, train), Scaling(*inputs, *dataset.target_scaling(arrays.train_y[train]))


def _read(file: ModelFile) -> Stored:
    """Return the model in ``file``.

    Raises:
        OrderRefused: The file does not match its digest.
    """
    from safetensors.numpy import load  # noqa: PLC0415 - not needed to draw curves

    try:
        content = Path(file.path).read_bytes()
    except OSError as error:
        raise OrderRefused("file_altered", f"The weights cannot be read ({error.strerror}).") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise OrderRefused("file_altered", "The weights were altered (their SHA-256 differs).")
    return Stored(RunSpec.of(file.spec), load(content), description_of(content))


def _graph(stored: Stored, metadata: dict[str, str], scaling: Scaling | None, table: Fitted | None = None) -> bytes:
    try:
        return onnx_of(stored.spec, stored.weights, metadata, scaling=scaling, table=table)
    except NoGraph as error:
        raise OrderRefused("no_graph", str(error)) from error


def _session(content: bytes) -> InferenceSession:
    """Return a session with one thread and no memory arena, so that a model takes little more than its weights."""
    import onnxruntime  # noqa: PLC0415 - not needed to draw curves

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
