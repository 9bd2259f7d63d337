"""One dataset under several splits, for a stack whose runs differ in ``split_seed``.

All splits share one copy of the rows; only a typed table, which its training rows prepare, has rows for each split. The
training rows of split s are numbered from s·n on, with n training rows in a split, so that code that gathers rows by
number works as for a single split. A run has the bits that it has with the ``Data`` of its own split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from worker.engine.data import Data
from worker.engine.rows import EvaluationRows, RawRows, Rows, Split
from worker.engine.stack_data import StackData, recorded
from worker.spec.families.dataset import Arrays, Dataset
from worker.spec.rng import parted
from worker.spec.teachers import Teacher

if TYPE_CHECKING:
    from worker.engine.stack import Member
    from worker.spec.tables.fitted import Fitted


class SplitByRun:
    """Evaluation rows that differ between runs: of each split, ``rows`` (S, n) of ``raw`` (N, D), targets y (S, n)."""

    def __init__(self, data: JointData, raw: Tensor, rows: Tensor, y: Tensor, weights: Sequence[Tensor | None]) -> None:
        self._data, self._raw, self._rows = data, raw, rows
        self.y = y
        present = [one for one in weights if one is not None]
        self.weights = torch.stack(present) if present else None

    @property
    def size(self) -> int:
        """Number of rows of a split, n."""
        return self.y.shape[1]

    def chunks(self, members: Sequence[Member], height: int) -> Iterator[Split]:
        """Yield ``height`` rows of every member at a time: inputs (K, h, D), targets (K, h)."""
        splits = self._data.splits_of(members)
        for first in range(0, self.size, height):
            rows = self._rows[:, first : first + height].index_select(0, splits)
            raw = self._raw.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)
            y = self.y[:, first : first + height].index_select(0, splits)
            weights = self.weights
            if weights is not None:
                weights = weights[:, first : first + height].index_select(0, splits)
            yield Split(self._data.inputs_of_splits(raw, splits), y, weights)


class JointData(StackData):
    """The rows of a dataset on the device, split as ``specs`` say, which differ only in ``split_seed``."""

    def __init__(self, specs: Sequence[Dataset], home: Path, device: torch.device) -> None:
        arrays = specs[0].load(home)
        self._home = home
        self._parts: dict[int, Data] = {}
        self._numbers = {spec.split_seed: number for number, spec in enumerate(specs)}
        splits = [parted(spec, arrays) for spec in specs]
        fitted = [spec.fitted(arrays, train) for spec, (train, _) in zip(specs, splits, strict=True)]
        self.preparations = [
            recorded(one, spec, home, arrays, train)
            for one, spec, (train, _) in zip(fitted, specs, splits, strict=True)
        ]
        rows = _shared_rows(arrays, splits) if arrays.tables is None else _own_rows(arrays, fitted, splits)
        super().__init__(specs[0], rows.training.x, device)
        self._rows = torch.from_numpy(rows.training.rows).to(device)
        self._learned = self._learned_scalings(specs, rows.training.rows) if self.spec.learns_scaling else None
        self.targets = [self._targets_of(spec, arrays, *split) for spec, split in zip(specs, splits, strict=True)]
        self._units = torch.tensor([one.unit for one in self.targets], dtype=torch.float64, device=device)
        self._zeros = torch.tensor([one.zero for one in self.targets], dtype=torch.float64, device=device)
        self.y = torch.cat([one.train for one in self.targets])
        validation_y = torch.stack([one.validation for one in self.targets])
        held_out = self.raw if rows.held_out.x is rows.training.x else self._flat(rows.held_out.x)
        self.validation = SplitByRun(
            self,
            held_out,
            torch.from_numpy(rows.held_out.rows).to(device),
            validation_y,
            [one.validation_weights for one in self.targets],
        )
        self.test = self._test_rows(self._flat(rows.test.x), torch.from_numpy(rows.test.rows).to(device))

    def splits_of(self, members: Sequence[Member]) -> Tensor:
        """Return the number of each member's split, (K,)."""
        return torch.tensor([self._numbers[one.spec.dataset.split_seed] for one in members], device=self.device)

    def numbered(self, members: Sequence[Member], positions: Tensor) -> Tensor:
        """Return the numbers of the training rows at ``positions`` (K, n) of each member's split."""
        return positions + self.splits_of(members).unsqueeze(1) * len(self)

    def of_split(self, dataset: Dataset) -> Data:
        """Return the data of one split; they are loaded for teachers only, and until their logits are cleared."""
        if dataset.split_seed not in self._parts:
            self._parts[dataset.split_seed] = Data(dataset, self._home, self.device)
        return self._parts[dataset.split_seed]

    def clear_teacher_logits(self) -> None:
        """Remove the logits of teachers, and the data that were loaded for them."""
        super().clear_teacher_logits()
        self._parts = {}

    def add_teacher_logits(self, teacher: Teacher, dataset: Dataset, logits: Tensor) -> None:
        """Store the logits (rows, classes) of a teacher for the training rows of one split."""
        if teacher.key not in self.teacher_logits:
            self.teacher_logits[teacher.key] = logits.new_zeros((len(self.y), logits.shape[1]))
        first = self._numbers[dataset.split_seed] * len(self)
        self.teacher_logits[teacher.key][first : first + len(self)] = logits

    def units_of(self, members: Sequence[Member]) -> Tensor:
        """Return one standardized unit of each member in the unit of the target, (K,)."""
        return self._units.index_select(0, self.splits_of(members))

    def zeros_of(self, members: Sequence[Member]) -> Tensor:
        """Return the standardized value of a target that is 0, of each member, (K,)."""
        return self._zeros.index_select(0, self.splits_of(members))

    def training(self, rows: int) -> EvaluationRows:
        """Return the first ``rows`` training rows of every split."""
        weights = [None if one.train_weights is None else one.train_weights[:rows] for one in self.targets]
        return SplitByRun(self, self.raw, self._rows[:, :rows], self.y_of_splits[:, :rows], weights)

    def raws(self, rows: Tensor) -> Tensor:
        """Return the raw values (K, N, D) of the training rows ``rows`` (K, N)."""
        return super().raws(self._rows.take(rows))

    def gather_pixels(self, rows: Tensor, index: Tensor) -> Tensor:
        """Return the raw values (K, N, D) of the rows ``rows``, pixels taken from ``index`` (K, N, H·W + 1)."""
        return super().gather_pixels(self._rows.take(rows), index)

    def inputs_of(self, raw: Tensor, rows: Tensor) -> Tensor:
        """Return the model's inputs for the ``raw`` values (K, N, D) of the training rows ``rows`` (K, N)."""
        return self.inputs(raw) if self._learned is None else self.inputs_of_splits(raw, rows[:, 0] // len(self))

    def inputs_of_splits(self, raw: Tensor, splits: Tensor) -> Tensor:
        """Return the model's inputs for ``raw`` values (K, N, D) of rows of the splits with these numbers (K,)."""
        if self._learned is None:
            return self.inputs(raw)
        scale, shift = (values.index_select(0, splits).unsqueeze(1) for values in self._learned)
        return raw.to(torch.float32) * scale + shift

    def _learned_scalings(self, specs: Sequence[Dataset], train: Rows) -> tuple[Tensor, Tensor]:
        """Return the scales and shifts (S, D) that the splits' training rows give."""
        learned = [spec.scaling(self._training[rows]) for spec, rows in zip(specs, train, strict=True)]
        factors = ([torch.as_tensor(self._factor(one)) for one in pair] for pair in zip(*learned, strict=True))
        scale, shift = (torch.stack(one) for one in factors)
        return scale.to(self.device), shift.to(self.device)

    def _test_rows(self, raw: Tensor, rows: Tensor) -> EvaluationRows:
        """Return the test rows, in the scale of every split if they differ."""
        same_targets = len({one.unit for one in self.targets}) == 1
        if self._learned is None and same_targets and len(raw) == rows.shape[1]:
            return RawRows(raw, self.targets[0].test, self.targets[0].test_weights, self.inputs)
        weights = [one.test_weights for one in self.targets]
        return SplitByRun(self, raw, rows, torch.stack([one.test for one in self.targets]), weights)


class _RowsOfSplits(NamedTuple):
    """Rows of one purpose: ``x`` (N, D), and which of them each split has, ``rows`` (S, n)."""

    x: np.ndarray[Any, Any]
    rows: Rows


class _JointRows(NamedTuple):
    """The rows of all splits."""

    training: _RowsOfSplits
    held_out: _RowsOfSplits
    test: _RowsOfSplits


def _shared_rows(arrays: Arrays, splits: Sequence[tuple[Rows, Rows]]) -> _JointRows:
    """Return rows that all splits share, because no split changes them."""
    train, held_out = (np.stack(part) for part in zip(*splits, strict=True))
    tests = np.broadcast_to(np.arange(len(arrays.test_y)), (len(splits), len(arrays.test_y))).copy()
    return _JointRows(
        _RowsOfSplits(arrays.train_x, train),
        _RowsOfSplits(arrays.train_x, held_out),
        _RowsOfSplits(arrays.test_x, tests),
    )


def _own_rows(arrays: Arrays, fitted: Sequence[Fitted | None], splits: Sequence[tuple[Rows, Rows]]) -> _JointRows:
    """Return the rows of each split, prepared as its training rows say; one split after the other."""
    parts: list[list[np.ndarray[Any, Any]]] = [[], [], []]
    for preparation, (train, held_out) in zip(fitted, splits, strict=True):
        prepared = arrays.prepared(preparation)
        for part, x in zip(parts, (prepared.train_x[train], prepared.train_x[held_out], prepared.test_x), strict=True):
            part.append(x)
    together = [np.concatenate(part) for part in parts]
    return _JointRows(*(_RowsOfSplits(x, np.arange(len(x)).reshape(len(splits), -1)) for x in together))
