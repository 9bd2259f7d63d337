"""A dataset with one split, on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.checkpoints import BadCheckpoint
from worker.engine.rows import InputRows, RawRows
from worker.engine.stack_data import StackData, recorded
from worker.spec.families.dataset import Dataset
from worker.spec.rng import parted
from worker.spec.tables.fitted import Fitted

if TYPE_CHECKING:
    from worker.engine.stack import Member


class Data(StackData):
    """A dataset with one split, that of its spec."""

    validation: InputRows
    test: InputRows

    def __init__(self, spec: Dataset, home: Path, device: torch.device) -> None:
        self._home = home
        loaded = spec.load(home)
        train, held_out = parted(spec, loaded)
        fitted = spec.fitted(loaded, train)
        arrays = loaded.prepared(fitted)
        self.preparations = [recorded(fitted, spec, home, arrays, train)]
        super().__init__(spec, arrays.train_x[train], device)
        targets = self._targets_of(spec, arrays, train, held_out)
        self.targets, self.y = [targets], targets.train
        self.raw_validation, self.raw_test = self._flat(arrays.train_x[held_out]), self._flat(arrays.test_x)
        self.validation = RawRows(self.raw_validation, targets.validation, targets.validation_weights, self.inputs)
        self.test = RawRows(self.raw_test, targets.test, targets.test_weights, self.inputs)
        if spec.chronological:
            known = np.concatenate([arrays.train_y, arrays.test_y])
            tests = np.arange(len(arrays.train_y), len(known))
            previous = {
                split: known[np.maximum(rows - spec.horizon, 0)] for split, rows in (("val", held_out), ("test", tests))
            }
            scaling = spec.target_scaling(arrays.train_y[train])
            self.previous_y = {split: self._scaled(y, *scaling) for split, y in previous.items()}

    def raw_by(self, preparation: Mapping[str, Any]) -> Tensor:
        """Return the training rows (n, D) of a typed table, prepared as another run prepared its own.

        Raises:
            BadCheckpoint: The preparation is of a table with other columns.
        """
        loaded, fitted = self.spec.load(self._home), Fitted.of(preparation)
        if loaded.tables is None or loaded.tables[0].schema != fitted.schema:
            raise BadCheckpoint("the teacher was trained on a table with other columns")
        train, _ = parted(self.spec, loaded)
        return torch.from_numpy(fitted.transform(loaded.tables[0].take(train))).to(self.device)

    @property
    def unit(self) -> float:
        """One standardized unit in the unit of the target."""
        return self.targets[0].unit

    def splits_of(self, members: Sequence[Member]) -> Tensor:
        """Return 0 for every member, (K,)."""
        return torch.zeros(len(members), dtype=torch.int64, device=self.device)

    def numbered(self, members: Sequence[Member], positions: Tensor) -> Tensor:
        """Return ``positions`` (K, n): rows are numbered by them."""
        return positions

    def of_split(self, dataset: Dataset) -> Data:
        """Return the data themselves."""
        return self

    def units_of(self, members: Sequence[Member]) -> float:
        """Return one standardized unit in the unit of the target."""
        return self.unit

    def zeros_of(self, members: Sequence[Member]) -> float:
        """Return the standardized value of a target that is 0."""
        return self.targets[0].zero

    def training(self, rows: int) -> InputRows:
        """The first ``rows`` training rows; the split's order is random, so they are a fair sample."""
        return RawRows(self.raw[:rows], self.y[:rows], self.training_weights(rows), self.inputs)

    def training_weights(self, rows: int) -> Tensor | None:
        """Return the weights of the first ``rows`` training rows."""
        weights = self.targets[0].train_weights
        return None if weights is None else weights[:rows]
