"""Convolutional network: blocks of convolution, normalisation, pooling and a nonlinearity, then dense layers.

    hᵢ₊₁ = φ(pool(norm(Kᵢ ∗ hᵢ + bᵢ)));    logits = dense layers of the flattened last h

Convolutions keep the picture's size (zero padding), pooling halves it. Max-pooling comes before a nonlinearity that
rises everywhere, which changes nothing and saves three quarters of its work. Regularizers of hidden units work on the
dense hidden layers. Each run's convolutions are its own calls, since grouped ones are slower on a CPU, and a batch
goes through them in pieces of ``PIECE_ROWS`` rows, each on one thread, since convolutions change their bits with the
number of threads (batch normalisation needs the whole batch). The dense layers of all runs are one batched product.

Reference: LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition"; Ioffe and
Szegedy, 2015, "Batch normalization"; Ba, Kiros and Hinton, 2016, "Layer normalization".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from worker.spec.dense import Activation
from worker.spec.families.layer import Layer
from worker.spec.initialization import Init, init_field
from worker.spec.layers.avg_pool import AvgPoolLayer
from worker.spec.layers.batch_norm import BatchNormLayer
from worker.spec.layers.conv2d import Conv2dLayer
from worker.spec.layers.flatten import FlattenLayer
from worker.spec.layers.group_norm import GroupNormLayer
from worker.spec.layers.max_pool import MaxPoolLayer
from worker.spec.networks.model import NONLINEARITIES, LayeredModel, dense_chain
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

Channels = Annotated[int, Field(ge=1, le=4096)]
Width = Annotated[int, Field(ge=1, le=1_000_000)]


class CNN(LayeredModel):
    """Convolutional blocks, one for each number in ``channels``, then dense layers."""

    equation: ClassVar[str] = "hᵢ₊₁ = φ(pool(norm(Kᵢ ∗ hᵢ + bᵢ)));  logits = dense(flatten(h))"
    reference: ClassVar[str] = "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to documents"

    kind: Literal["cnn"] = "cnn"
    channels: tuple[Channels, ...] = Field(
        default=(16, 32), min_length=1, max_length=8, description="Channels of each convolution, from the input on."
    )
    kernel_size: Literal[1, 3, 5, 7] = Field(default=3, description="Height and width of the kernels.")
    pooling: Literal["max", "average", "none"] = Field(default="max", description="What halves the picture in a block.")
    norm: Literal["none", "batch", "layer"] = Field(default="none", description="Normalisation after a convolution.")
    hidden: tuple[Width, ...] = Field(default=(), max_length=8, description="Widths of dense hidden layers.")
    activation: Activation = Field(default="relu", description="φ, of the hidden layers.")
    init: Init = init_field()

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse rows that are no images, and more pooling than the image has pixels."""
        shape = run.dataset.shape
        if len(shape) < 2:
            message = f"'cnn' works on images, but a row of {run.dataset.kind!r} has shape {list(shape)}; use 'mlp'."
            return [Objection(field=None, message=message)]
        if min(self._size(shape)) < 1:
            most = int(math.log2(min(shape[-2:])))
            message = f"An image of {shape[-2]}×{shape[-1]} can be halved {most} times; list at most {most} channels."
            return [Objection(field="channels", message=message)]
        return super().objections(run)

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width after the last block."""
        halvings = 0 if self.pooling == "none" else len(self.channels)
        return shape[-2] >> halvings, shape[-1] >> halvings

    def named_layers(self) -> Sequence[tuple[str, Layer]]:
        """Return the blocks, then the dense hidden layers."""
        named: list[tuple[str, Layer]] = []
        nonlinearity = ("", NONLINEARITIES[self.activation])
        for i, channels in enumerate(self.channels):
            named.append((f"blocks.{i}.conv", Conv2dLayer(channels=channels, kernel_size=self.kernel_size)))
            if self.norm != "none":
                norm = BatchNormLayer() if self.norm == "batch" else GroupNormLayer(groups=1)
                named.append((f"blocks.{i}.norm", norm))
            if self.pooling == "max":
                named.append(("", MaxPoolLayer()))
            named.append(nonlinearity)
            if self.pooling == "average":
                named.append(("", AvgPoolLayer()))
        return [*named, ("", FlattenLayer()), *dense_chain(self.hidden, self.activation)]

    @property
    def output_name(self) -> str:
        """Prefix of the output layer's parameters: the dense layers are counted."""
        return f"layers.{len(self.hidden)}"
