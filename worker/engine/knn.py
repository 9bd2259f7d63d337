"""Runs of a model that keeps its training rows: the nearest rows are computed once, then an epoch counts votes."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from worker.engine.data import Data
from worker.engine.joint_data import JointData
from worker.engine.rows import EvaluationRows, Split
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.engine.training import EpochResult, Training, rows_of
from worker.spec.families.dataset import Dataset
from worker.spec.families.model import InstanceBased, Model

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
                self.validation = self.validation._replace(x=self.y[places])
            else:
                self.test = self.test._replace(x=self.y[places])
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


class KNNTraining(Training):
    """Measures an epoch of a stack after the other; nothing is trained. Between two blocks, runs may leave."""

    data: KNNData

    def prepare(self) -> None:
        """Look up what the epochs need, for those who stay."""
        evaluate = self._spec.evaluate
        requested: dict[Part, int] = {"train": self._training_rows}
        if len(self.data.validation.y):
            requested["val"] = len(self.data.validation.y)
        if evaluate.test != "never":
            requested["test"] = len(self.data.test.y)
        most = max((member.spec.epochs for member in self.stack.members), default=0)
        for _ in self.data.look_up(requested, most):
            self._tuner.tick()
            self._let_go()
            if not len(self.stack):
                return

    def _let_go(self) -> None:
        left_runs = set(self._leaving_positions(self.stack))
        self.stack = self.stack.take([i for i in range(len(self.stack)) if i not in left_runs])

    def _untrained(self) -> list[EpochResult]:
        """Epoch 0: no neighbour votes."""
        self.prepare()
        return super()._untrained() if len(self.stack) else []

    def _train_epoch(self) -> list[EpochResult]:
        """Train the next epoch of the runs that stay. The first one includes the search for neighbors."""
        start = time.perf_counter()
        self.prepare()
        self._let_go()
        if not len(self.stack):
            return []
        self.stack.advance()
        measured = rows_of(self._evaluated(self.stack), len(self.stack))
        with_objective = [{**metrics, "train.objective": metrics["train.loss"]} for metrics in measured]
        return self._concluded(self.stack, 0, with_objective, start)

    def _splits(self) -> list[tuple[str, str, EvaluationRows]]:
        """Besides the others: training rows as they are, and each judged without itself."""
        rows = self._training_rows
        own = [("train", "", self.data.training(rows)), ("train", "_loo", self.data.left_out)]
        return [*own, *super()._splits()]


def data_for(datasets: Sequence[Dataset], model: Model, home: Path, device: torch.device) -> StackData:
    """Return the data in the form that ``model`` wants; ``datasets`` differ in their split, for models that train."""
    if isinstance(model, InstanceBased):
        return KNNData(datasets[0], model, home, device)
    return Data(datasets[0], home, device) if len(datasets) == 1 else JointData(datasets, home, device)


def training_class(stack: Stack) -> type[Training]:
    """How the runs of ``stack`` come from epoch to epoch."""
    return Training if stack.members[0].spec.model.trains else KNNTraining
