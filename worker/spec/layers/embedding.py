"""Embedding: a trained vector for each token.

    y_l = W[x_l]

Rows of L tokens, whole numbers from 0 to vocabulary − 1, become sequences of L vectors. Vectors begin standard normal.

Reference: Bengio, Ducharme, Vincent and Jauvin, 2003, "A neural probabilistic language model"; ``torch.nn.Embedding``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import defines
from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes
from worker.spec.families.model import Initialization
from worker.spec.families.regularizer import Regularizer
from worker.spec.initialization import Init
from worker.spec.part import Objection

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value
    from worker.spec.run import RunSpec


MAX_VOCABULARY = 10_000_000


class UnknownTokens(ValueError):
    """Rows hold tokens that are outside the vocabulary of their embedding."""


class EmbeddingLayer(Layer):
    """A vector for each token."""

    equation: ClassVar[str] = "y_l = W[x_l]"
    reference: ClassVar[str] = "Bengio, Ducharme, Vincent and Jauvin 2003, A neural probabilistic language model"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({"vocabulary": 7, "width": 4}, (5,)),)
    fresh: ClassVar[bool] = True
    takes_dataset: ClassVar[bool] = True
    example_values: ClassVar[int] = 7

    kind: Literal["embedding"] = "embedding"
    vocabulary: int = Field(ge=1, le=MAX_VOCABULARY, examples=[99], description="Number of different tokens.")
    width: int = Field(ge=1, le=65_536, examples=[64], description="Length of a token's vector.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return a vector for each token."""
        if len(shape) != 1:
            message = f"'embedding' takes rows of tokens, and rows of shape {sizes(shape)} arrive."
            raise DoesNotFit(message)
        return (shape[0], self.width)

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse rows that are no tokens or have more different ones, and parts that change them."""
        return [*self._objections(run)]

    def _objections(self, run: RunSpec) -> Iterator[Objection]:
        tokens = run.dataset.tokens
        if tokens == 0:
            message = (
                f"Rows of {run.dataset.kind!r} are no tokens: 'embedding' needs whole numbers from 0 on, such as those "
                "of 'modular_arithmetic', or of an uploaded table whose numbers keep their scale (standardize false)."
            )
            yield Objection(field=None, message=message)
            return
        if tokens is not None and tokens > self.vocabulary:
            message = (
                f"Rows of {run.dataset.kind!r} have {tokens} different tokens, and a vocabulary of "
                f"{self.vocabulary} is too small; use {tokens}."
            )
            yield Objection(field="vocabulary", message=message, allowed=[tokens])
        if run.dataset.normalize is not None:
            yield Objection(field=None, message="Tokens cannot be scaled; leave dataset.normalize out.")
        for part in run.regularizers:
            if _changes_inputs(part):
                message = f"{part.kind!r} changes the inputs, which must remain whole numbers; leave it out."
                yield Objection(field=None, message=message)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return a matrix with a row for each token."""
        return {"weight": (self.vocabulary, self.width)}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return the standard normal distribution."""
        return Initialization("normal", 1.0)

    def flops(self, shape: Shape) -> int:
        """Return one for each number, which is copied."""
        return math.prod(self.output_shape(shape))

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the vectors of tokens ``x`` (N, L).

        Raises:
            UnknownTokens: A token is outside the vocabulary, or no whole number.
        """
        import torch
        from torch.nn import functional as F  # noqa: N812 - its usual name

        tokens = x.long()
        if x.device.type == "cpu" and not torch.equal(tokens.to(x.dtype), x):
            raise UnknownTokens("Rows have fractions, and 'embedding' needs whole numbers. Upload a column of tokens.")
        try:
            return F.embedding(tokens, state["weight"])
        except IndexError:
            low, high = int(tokens.min()), int(tokens.max())
            message = f"Rows have tokens from {low} to {high}, and the vocabulary of 'embedding' ends at"
            remedy = f"a vocabulary of {high + 1}" if low >= 0 else "tokens from 0 on"
            raise UnknownTokens(f"{message} {self.vocabulary - 1}. Use {remedy}.") from None

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the vectors."""
        from onnx import TensorProto

        return graph.node("Gather", names["weight"], graph.node("Cast", x, to=TensorProto.INT64), axis=0)

    def module(self, shape: Shape) -> str:
        """Return ``TokenEmbedding``, an ``nn.Embedding`` of numbers of any type."""
        return f"TokenEmbedding({self.vocabulary}, {self.width})"


def _changes_inputs(part: Regularizer) -> bool:
    """Return whether the part changes rows before the model sees them."""
    return defines(type(part), "mix") or (defines(type(part), "inputs") and getattr(part, "input_p", 1.0) > 0)
