"""The data of a stack on the device, and the batches drawn from them."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.rows import EvaluationRows, Rows, Targets
from worker.spec.families.dataset import Dataset, Normalize
from worker.spec.rng import noisy
from worker.spec.sums import counted, ordered_mean, ordered_sum
from worker.spec.tables.fitted import Fitted
from worker.spec.teachers import Teacher

if TYPE_CHECKING:
    from worker.engine.data import Data
    from worker.engine.stack import Member
    from worker.spec.families.dataset import Arrays, Scale
    from worker.spec.families.loss import Loss


Preparation = Mapping[str, Any]
"""Figures of the training rows as JSON values: ``preparation`` of the columns, scale and shift of the ``target``, and
``target_name``."""


class StackData:
    """The data of a stack on the device. Training rows stay raw (uint8 for images) until they are gathered.

    ``targets`` are those of every split, ``y`` of all training rows by their numbers, split after split.
    """

    targets: list[Targets]
    y: Tensor
    validation: EvaluationRows
    test: EvaluationRows
    preparations: Sequence[Preparation]
    """How each split prepares rows, for files of weights; empty if the spec alone says it."""
    previous_y: Mapping[str, Tensor] = {}
    """For rows in order of time, the target of the row before each validation and test row."""

    def __init__(self, spec: Dataset, training: np.ndarray[Any, Any], device: torch.device) -> None:
        self.spec = spec
        self.device = device
        self._training = training.reshape(len(training), self.width)
        self.raw = torch.from_numpy(self._training).to(device)  # on a CPU these are the same bytes
        self._scalings: dict[Normalize | None, tuple[float | Tensor, float | Tensor]] = {}
        self.coefficients = self._coefficients()
        self.teacher_logits: dict[str, Tensor] = {}
        """Teacher logits of the training rows, (rows, classes), by the teacher's key."""
        self.transfers: dict[str, Data] = {}
        """Other rows on which teachers teach, by their spec in JSON."""
        self._with_blank: Tensor | None = None
        self._class_weights: dict[Loss, Tensor | None] = {}

    def __len__(self) -> int:
        """Number of training rows of a split."""
        return len(self.y) // len(self.targets)

    def splits_of(self, members: Sequence[Member]) -> Tensor:
        """Return the number of each member's split, (K,)."""
        raise NotImplementedError

    def numbered(self, members: Sequence[Member], positions: Tensor) -> Tensor:
        """Return the numbers of the training rows at ``positions`` (K, n) of each member's split."""
        raise NotImplementedError

    def preparation_of(self, member: Member) -> Preparation:
        """Return how the rows of a run are prepared."""
        return self.preparations[int(self.splits_of([member])[0])]

    def units_of(self, members: Sequence[Member]) -> float | Tensor:
        """Return one standardized unit in the unit of the target, for numeric targets: of all members, or of each."""
        raise NotImplementedError

    def zeros_of(self, members: Sequence[Member]) -> float | Tensor:
        """Return the standardized value of a numeric target that is 0: for all members, or for each."""
        raise NotImplementedError

    def class_weights(self, loss: Loss) -> Tensor | None:
        """Return the weights of classes in the mean loss of each split, (S, C) float64; None if rows weigh alike.

        The weights of the training rows, times those of their classes, have mean 1.
        """
        if loss not in self._class_weights:
            self._class_weights[loss] = self._weights_of_classes(loss)
        return self._class_weights[loss]

    def class_weights_of(self, members: Sequence[Member]) -> Tensor | None:
        """Return the weights of classes in the mean loss of each member, (K, C) or (1, C); None if rows weigh alike."""
        weights = self.class_weights(members[0].spec.effective_loss)
        return None if weights is None else self.of_runs(weights, members)

    def _weights_of_classes(self, loss: Loss) -> Tensor | None:
        if loss.task == "regression":
            return None
        rows, classes = len(self), len(self.spec.classes)
        counts = torch.stack([counted(one.train, one.train_weights, classes) for one in self.targets])
        weights = loss.weights_of_classes(counts)
        return None if weights is None else weights * rows / ordered_sum(weights * counts).unsqueeze(1)

    @functools.cached_property
    def weights_of_splits(self) -> Tensor | None:
        """How many rows each training row of every split counts as, (S, n) float64 with mean 1; None: each as one."""
        weights = [one.train_weights for one in self.targets if one.train_weights is not None]
        return torch.stack(weights) if weights else None

    @functools.cached_property
    def _row_weights(self) -> Tensor | None:
        """The same by the rows' numbers, float32."""
        return None if self.weights_of_splits is None else self.weights_of_splits.flatten().to(torch.float32)

    def row_weights(self, rows: Tensor) -> Tensor | None:
        """Return how many rows each of the training rows ``rows`` (K, N) counts as, same shape; None: each as one."""
        return None if self._row_weights is None else self._row_weights.take(rows)

    def of_split(self, dataset: Dataset) -> Data:
        """Return the data of one split."""
        raise NotImplementedError

    def training(self, rows: int) -> EvaluationRows:
        """Return the first ``rows`` training rows; a split's order is random, so they are a fair sample."""
        raise NotImplementedError

    def remembered(self, rows: int) -> Mapping[str, EvaluationRows]:
        """Return the first ``rows`` training rows as a model sees them that keeps its rows, by suffix of their series.

        Empty for models that are trained, whose batches give these series.
        """
        return {}

    @property
    def width(self) -> int:
        """Numbers in a row, D."""
        return math.prod(self.spec.shape)

    def of_runs(self, values: Tensor, members: Sequence[Member]) -> Tensor:
        """Return the values of the members' splits, from one value for all or one for each split."""
        return values if len(values) == 1 else values.index_select(0, self.splits_of(members))

    @property
    def y_of_splits(self) -> Tensor:
        """Targets of the training rows of every split, (S, n)."""
        return self.y.view(len(self.targets), -1)

    def _flat(self, x: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(np.array(x.reshape(len(x), self.width))).to(self.device)

    def _coefficients(self) -> Tensor | None:
        """The true coefficients (D,) of the inputs as the model sees them, where they are known; float64."""
        if (known := self.spec.coefficients) is None:
            return None
        scale, _ = self.spec.scaling(self._training)
        return torch.from_numpy(known / scale).to(self.device)

    def _targets_of(self, spec: Dataset, arrays: Arrays, train: Rows, held_out: Rows) -> Targets:
        """Return the targets of a split, scaled as its training rows say."""
        scale, shift = spec.target_scaling(arrays.train_y[train])
        rows = (noisy(arrays.train_y[train], spec), arrays.train_y[held_out], arrays.test_y)
        own, validation, test = (self._scaled(y, scale, shift) for y in rows)
        return Targets(
            own, validation, test, 1 / scale, float(np.float32(shift)), *self._weights(arrays, train, held_out)
        )

    def _weights(self, arrays: Arrays, train: Rows, held_out: Rows) -> list[Tensor | None]:
        """Return the weights of training rows, of which the mean is 1, and of validation and test rows."""
        if arrays.train_weights is None or arrays.test_weights is None:
            return [None, None, None]
        parts = (arrays.train_weights[train], arrays.train_weights[held_out], arrays.test_weights)
        own, *others = (torch.from_numpy(weights).to(self.device) for weights in parts)
        return [own / ordered_mean(own.unsqueeze(0)), *others]

    def _scaled(self, y: np.ndarray[Any, Any], scale: float, shift: float) -> Tensor:
        """Labels as they are, numbers scaled, on the device."""
        scaled = y if self.spec.task == "classification" else (y * scale + shift).astype(np.float32)
        return torch.from_numpy(scaled).to(self.device)

    def _factor(self, value: Scale) -> float | Tensor:
        """The number for all inputs, or a number for each, (D,) float32."""
        return value if isinstance(value, float) else torch.from_numpy(value.astype(np.float32)).to(self.device)

    def inputs(self, raw: Tensor) -> Tensor:
        """Return ``raw`` rows as the model's input: scaled to [0, 1] and normalized, float32, same shape."""
        return self.inputs_for(raw, self.spec.normalize)

    def inputs_for(self, raw: Tensor, normalize: Normalize | None) -> Tensor:
        """The same for a model that wants them normalised so; columns are standardised as for this one."""
        if normalize not in self._scalings:
            self._scalings[normalize] = self._scaling(normalize)
        scale, shift = self._scalings[normalize]
        x = raw.to(torch.float32)
        if isinstance(scale, float) and (scale, shift) == (1.0, 0.0):
            return x
        # In place is safe for images only: ``to`` copies uint8, but hands float32 back as it is.
        return x.mul_(scale).add_(shift) if raw.dtype == torch.uint8 else x * scale + shift

    def _scaling(self, normalize: Normalize | None) -> tuple[float | Tensor, float | Tensor]:
        """Scale and shift of raw values."""
        scale, shift = self.spec.model_copy(update={"normalize": normalize}).scaling(self._training)
        return self._factor(scale), self._factor(shift)

    def clear_teacher_logits(self) -> None:
        """Forget what teachers said, and the rows that only they taught on."""
        self.teacher_logits, self.transfers = {}, {}

    def add_teacher_logits(self, teacher: Teacher, dataset: Dataset, logits: Tensor) -> None:
        """Store the logits (rows, classes) of a teacher for the training rows of ``dataset``, which is one split."""
        self.teacher_logits[teacher.key] = logits

    def teacher_logits_of(self, teachers: Sequence[Teacher], rows: Tensor) -> Tensor:
        """Return the logits of ``teachers`` for the training rows ``rows`` (K, N): (K, N, T, classes)."""
        logits = [self.teacher_logits[teacher.key].index_select(0, rows.reshape(-1)) for teacher in teachers]
        together = logits[0] if len(logits) == 1 else torch.stack(logits, 1)
        return together.view(*rows.shape, len(logits), -1)

    def batch(self, rows: Tensor) -> Tensor:
        """Inputs (K, N, D) of the training rows ``rows`` (K, N)."""
        return self.inputs_of(self.raws(rows), rows)

    def inputs_of(self, raw: Tensor, rows: Tensor) -> Tensor:
        """Return the model's inputs for the ``raw`` values (K, N, D) of the training rows ``rows`` (K, N)."""
        return self.inputs(raw)

    def gather_pixels(self, rows: Tensor, index: Tensor) -> Tensor:
        """Raw values (K, N, D) of the training rows ``rows`` (K, N), pixels taken from ``index`` (K, N, H·W + 1)."""
        pixels = index.shape[-1] - 1
        channels = self.width // pixels
        if self._with_blank is None:
            self._with_blank = torch.nn.functional.pad(self.raw.reshape(-1, pixels), (0, 1)).view(-1)
        first = rows.unsqueeze(-1) * channels + torch.arange(channels, device=self.device)
        places = index[..., :-1].unsqueeze(-2) + (first * (pixels + 1)).unsqueeze(-1)
        return self._with_blank.take(places).flatten(2)

    def raws(self, rows: Tensor) -> Tensor:
        """Raw values (K, N, D) of the training rows ``rows`` (K, N)."""
        return self.raw.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)


def recorded(fitted: Fitted | None, spec: Dataset, home: Path, arrays: Arrays, train: Rows) -> Preparation:
    """Return how a split prepares rows; empty unless it is a typed table."""
    if fitted is None:
        return {}
    target = {} if spec.classes else {"target": list(spec.target_scaling(arrays.train_y[train]))}
    name = spec.target_name(home)
    return {"preparation": fitted.as_json(), **target, **({} if name is None else {"target_name": name})}
