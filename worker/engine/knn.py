"""Runs of a model that keeps its training rows: the nearest rows are computed once, then an epoch counts votes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from worker.engine.data import Data
from worker.engine.evaluator import Evaluator, rows_of
from worker.engine.joint_data import JointData
from worker.engine.rows import EvaluationRows, Split
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.spec.families.dataset import Dataset
from worker.spec.families.model import InstanceBased, Model
from worker.spec.families.schedule import History

Part = Literal["train", "val", "test"]


class KNNData(Data):
    """A dataset whose inputs become the labels of the nearest training rows, nearest first."""

    def __init__(self, spec: Dataset, model: InstanceBased, home: Path, device: torch.device) -> None:
        super().__init__(spec, home, device)
        self._memory = model.memory(self.raw)
        self._known: dict[Part, tuple[int, int]] = {}
        nothing = Split(self.y[:0].unsqueeze(1), self.y[:0])
        self._train, self.left_out = nothing, nothing

    def training(self, rows: int) -> Split:
        """The first ``rows`` training rows, each among its own neighbours; ``left_out`` has them by the others'."""
        assert len(self._train.y) == rows, f"{rows} rows were not looked up"
        return self._train

    def remembered(self, rows: int) -> Mapping[str, EvaluationRows]:
        """Return training rows with all neighbors, and each judged without itself."""
        return {"": self.training(rows), "_loo": self.left_out}

    def look_up(self, requested: Mapping[Part, int], most: int) -> Iterator[None]:
        """Find the ``most`` nearest of so many rows of each part; may be left off wherever it yields."""
        raws: dict[Part, Tensor] = {"train": self.raw, "val": self.raw_validation, "test": self.raw_test}
        for part, rows in requested.items():
            width, count = self._known.get(part, (0, 0))
            if width >= most and count == rows:
                continue
            places = yield from self._places(raws[part][:rows], min(most + (part == "train"), len(self)))
            if part == "train":
                weights = self.training_weights(rows)
                self._train = Split(self.y[places], self.y[:rows], weights)
                self.left_out = Split(self.y[_without_itself(places)], self.y[:rows], weights)
            elif part == "val":
                self.validation = Split(self.y[places], self.validation.y, self.validation.weights)
            else:
                self.test = Split(self.y[places], self.test.y, self.test.weights)
            self._known[part] = most, rows

    def _places(self, raw: Tensor, most: int) -> Generator[None, None, Tensor]:
        """The places (n, most) of the training rows nearest to each of ``raw``, block by block."""
        nearest = [torch.empty((0, most), dtype=torch.int64, device=self.device)]
        for block in torch.split(raw, self._memory.block_rows):
            nearest.append(self._memory.nearest(block, most))
            yield
        return torch.cat(nearest)


def _without_itself(places: Tensor) -> Tensor:
    """``places`` (n, most + 1) near the training rows 0 … n − 1, without that row, or without the last one."""
    itself = places == torch.arange(len(places), device=places.device).unsqueeze(1)
    return places.gather(1, itself.to(torch.uint8).argsort(dim=1, stable=True))[:, :-1]


class Votes:
    """An epoch in which one more neighbor votes; it has no steps."""

    steps = 0
    remaining_steps = range(0)

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        stack.advance()

    def only(self, positions: Sequence[int]) -> Votes:
        """Refuse: no run leaves between steps."""
        raise AssertionError("an epoch of votes has no steps between which runs leave")

    without = only

    def train_step(self, t: int) -> None:
        """Refuse: nothing is trained."""
        raise AssertionError("an epoch of votes has no steps")

    def measure(self, evaluator: Evaluator) -> list[dict[str, float]]:
        """Return the metrics of each run; the objective is the loss."""
        rows = rows_of(evaluator.evaluate_remembered(self.stack), len(self.stack))
        return [{**metrics, "train.objective": metrics["train.loss"]} for metrics in rows]


class NeighborVotes:
    """The epochs of a model that keeps its training rows: after a search for neighbors, each adds a vote."""

    def __init__(self, data: KNNData, training_rows: int) -> None:
        self._data = data
        self._training_rows = training_rows

    def prepare(self, stack: Stack) -> Iterator[None]:
        """Search the neighbors that the epochs need, block by block."""
        data = self._data
        requested: dict[Part, int] = {"train": self._training_rows}
        if len(data.validation.y):
            requested["val"] = len(data.validation.y)
        if stack.members[0].spec.evaluate.test != "never":
            requested["test"] = len(data.test.y)
        return data.look_up(requested, max(member.spec.epochs for member in stack.members))

    def begin(self, stack: Stack, epoch: int, histories: Mapping[str, History]) -> Votes:
        """Return the epoch with its vote."""
        return Votes(stack)


def data_for(datasets: Sequence[Dataset], model: Model, home: Path, device: torch.device) -> StackData:
    """Return the data in the form that ``model`` wants; ``datasets`` differ in their split, for models that train."""
    if isinstance(model, InstanceBased):
        return KNNData(datasets[0], model, home, device)
    return Data(datasets[0], home, device) if len(datasets) == 1 else JointData(datasets, home, device)
