"""Batch normalization: each channel of a batch has mean zero and variance one, then a scale and shift of its own.

    training     y = γ·(x − mean(batch)) / √(var(batch) + ε) + β
    evaluation   y = γ·(x − running mean) / √(running var + ε) + β

Batches of more than 1,024 rows are normalized 1,024 rows at a time.

Reference: Ioffe and Szegedy, 2015, "Batch normalization: accelerating deep network training by reducing internal
covariate shift"; ``torch.nn.BatchNorm2d``.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import InPieces, LayerState, Moments, Names, Normalizing, Shape
from worker.spec.families.normalization import NormalizationLayer
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class BatchNormLayer(NormalizationLayer):
    """Normalize each channel over the batch."""

    equation: ClassVar[str] = "y = γ·(x − μ_batch) / √(σ²_batch + ε) + β"
    reference: ClassVar[str] = "Ioffe and Szegedy 2015, Batch normalization"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 4, 5)),
        ({"momentum": 0.3}, (6,)),
        ({}, (3, 8)),
        ({"affine": False, "eps": 0.01}, (2, 7)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["batch_norm"] = "batch_norm"
    momentum: PerRun[float] = Field(
        default=0.1, gt=0, le=1, description="Weight of the newest batch in the running values."
    )

    @property
    def needs_whole_batch(self) -> bool:
        """In training, rows are normalized together."""
        return True

    def min_rows(self, shape: Shape) -> int:
        """Return two where a row has one number for each channel, whose variance would be zero."""
        return 1 if math.prod(shape[1:]) > 1 else 2

    def buffers(self, shape: Shape) -> dict[str, Shape]:
        """Return running mean and variance of each channel."""
        return {"running_mean": (shape[0],), "running_var": (shape[0],)}

    def flops(self, shape: Shape) -> int:
        """Return two for each number."""
        return 2 * math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return normalized rows; in training, change the running values."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        mean, var = state["running_mean"], state["running_var"]
        weight, bias = (state["weight"], state["bias"]) if self.affine else (None, None)
        return F.batch_norm(x, mean, var, weight, bias, state.training, self.momentum, self.eps)

    def in_pieces(self, x: Tensor, state: LayerState) -> InPieces:
        """Return normalized rows of a piece."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        x = state.cut(x)
        if self.affine:
            weight, bias = state["weight"], state["bias"]
        else:
            weight = x.new_ones(x.shape[1], requires_grad=True)
            bias = x.new_zeros(x.shape[1], requires_grad=True)
        mean, var, _ = yield Normalizing(x, weight, bias, self.eps, partial(self._update, state))
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, self.eps)

    def _update(self, state: LayerState, moments: Moments) -> None:
        """Change the running values; the variance is the unbiased one."""
        mean, var, places = moments
        state["running_mean"].lerp_(mean, self.momentum)
        state["running_var"].lerp_(var * (places / max(places - 1, 1)), self.momentum)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return rows normalized by the running values."""
        ones, zeros = [1.0] * shape[0], [0.0] * shape[0]
        affine = [names["weight"], names["bias"]] if self.affine else [graph.numbers(ones), graph.numbers(zeros)]
        running = [names["running_mean"], names["running_var"]]
        return graph.node("BatchNormalization", x, *affine, *running, epsilon=self.eps)

    def module(self, shape: Shape) -> str:
        """Return ``nn.BatchNorm1d`` or ``nn.BatchNorm2d``."""
        dimensions = 2 if len(shape) == 3 else 1
        return f"nn.BatchNorm{dimensions}d({shape[0]}, momentum={self.momentum}, {self.module_options()})"
