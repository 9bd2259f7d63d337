"""k nearest neighbors: the k training rows nearest to a row vote on its class.

    P(c | x) = (k_c + 1/C) / (k + 1)        k_c: how many of the k nearest training rows are of class c, of C classes

A run measures every k, one per epoch: epoch e is the classifier with k = e, and ``epochs`` is the largest k.
Distances are Euclidean and exact; of equally distant rows the first of the training set is the nearer one, and of
classes with equally many votes the first wins. One vote more, divided evenly among the classes (Perks 1947), keeps the
loss finite if no neighbor has the row's class, and does not change the predicted class.

Reference: Cover and Hart, 1967, "Nearest neighbor pattern classification".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from worker.spec.families.model import Hidden, Initialization, InstanceBased, Network, ParameterViews
from worker.spec.nearest import BLOCK, Memory
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec

LABEL_BYTES = 8


class KNN(InstanceBased):
    """The vote of the k nearest training rows; epoch k measures k neighbors, up to ``epochs``."""

    equation: ClassVar[str] = "P(c | x) = (k_c + 1/C) / (k + 1), k_c of the k nearest training rows are of class c"
    reference: ClassVar[str] = "Cover and Hart 1967, Nearest neighbor pattern classification"
    for_classes: ClassVar[bool] = True
    epoch_name: ClassVar[str] = "k"

    kind: Literal["knn"] = "knn"

    @model_validator(mode="before")
    @classmethod
    def _measures_every_k(cls, fields: Any) -> Any:
        if isinstance(fields, Mapping) and "k" in fields:
            raise ValueError(
                'a run measures every k from 1 to its epochs; leave k out and set "epochs" to the largest k'
            )
        return fields

    def buffers(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the buffer ``k``, the number of neighbors that vote."""
        return {"k": ()}

    def initialization(self, name: str, shape: tuple[int, ...], fan_in: int) -> Initialization:
        """Start with k = 0, for which all classes are equally probable."""
        return Initialization("constant", 0.0)

    def max_epochs(self, run: RunSpec) -> int:
        """Return the number of training rows."""
        return run.dataset.training_rows

    def operations(self, run: RunSpec, evaluated: int) -> float:
        """Return the cost of comparing every row with every training row once; votes are negligible."""
        return 2.0 * math.prod(run.dataset.shape) * run.dataset.training_rows * evaluated

    def workspace(self, run: RunSpec, evaluated: int) -> int:
        """Return the bytes of training rows in floats, two tables of scores, and the nearest labels of every row."""
        floats = math.prod(run.dataset.shape) * run.dataset.training_rows + 2 * BLOCK
        return 8 * floats + LABEL_BYTES * run.epochs * evaluated

    @staticmethod
    def memory(rows: Tensor) -> Memory:
        """Return an exact Euclidean search."""
        return Memory(rows)

    @staticmethod
    def advance(buffers: Mapping[str, Tensor]) -> None:
        """Increase k by one."""
        buffers["k"].add_(1)

    @staticmethod
    def network(part: Stacked[KNN], material: ParameterViews) -> Network:
        """Return the votes of the first k labels."""
        return Votes(material)


class Votes(Network):
    """Counts of the first k labels of each row. All runs of a stack are in the same epoch and use the same rows."""

    def __init__(self, material: ParameterViews) -> None:
        self._k = material.buffers["k"]
        self._classes = material.outputs

    def forward(self, x: Tensor, hidden: Hidden) -> Tensor:
        """Return logarithms of votes (K, N, classes) of the labels ``x`` (K, N, most) of the nearest training rows."""
        import torch

        k = int(self._k[0])
        assert bool((self._k == k).all()), "a stack's runs are in the same epoch"
        labels = x[0, :, :k]
        votes = torch.zeros((len(labels), self._classes), dtype=torch.int64, device=x.device)
        votes.scatter_add_(1, labels, torch.ones_like(labels))
        # From a table, so that equal votes have equal logarithms: libraries round the ends of a tensor differently.
        logarithms = (torch.arange(k + 1, device=x.device) + 1 / self._classes).log()
        return logarithms[votes].expand(len(x), -1, -1)

    def backward(self, g: Tensor) -> None:
        """Do nothing: votes have no gradient."""
