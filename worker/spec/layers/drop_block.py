"""DropBlock: square blocks of each channel are set to zero at random in training, and the others are scaled up.

    training     y = x ⊙ m · |m| / Σm for each row;    m: zero in blocks around centers ~ Bernoulli(γ)
                 γ = p / size² · (H·W) / ((H − size + 1)·(W − size + 1))
    evaluation   y = x

The paper scales by the share of zeros in the batch; here it is that of the row, so that a row depends on no other.

Reference: Ghiasi, Lin and Le, 2018, "DropBlock: a regularization method for convolutional networks".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class DropBlockLayer(Layer):
    """Set blocks of channels to zero, about the share p of all pixels."""

    equation: ClassVar[str] = "y = x ⊙ m · |m| / Σm,  m zero in blocks"
    reference: ClassVar[str] = "Ghiasi, Lin and Le 2018, DropBlock: a regularization method for convolutional networks"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"p": 0.3, "size": 3}, (2, 6, 5)),
        ({"p": 0.2, "size": 2}, (3, 4, 4)),
    )

    kind: Literal["drop_block"] = "drop_block"
    p: PerRun[float] = Field(default=0.1, ge=0, le=0.99, description="Share of pixels that blocks cover, if disjoint.")
    size: int = Field(default=7, ge=1, le=4096, description="Length of the blocks' sides.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        if len(shape) != 3:
            message = f"'drop_block' takes images, and rows of shape {sizes(shape)} arrive."
            raise DoesNotFit(message)
        smaller = min(shape[1:])
        if smaller < self.size:
            message = f"Images of {sizes(shape)} arrive, in which no block of {self.size} fits; use a smaller size."
            raise DoesNotFit(message, "size", allowed=list(range(1, smaller + 1))[:64])
        return shape

    def flops(self, shape: Shape) -> int:
        """Return one for each number of each block."""
        return math.prod(shape) * self.size**2

    def centers(self, height: int, width: int) -> float:
        """Return γ, the probability that a place is the corner of a block, in steps of 2⁻¹⁶."""
        places = (height - self.size + 1) * (width - self.size + 1)
        return min(1.0, round(self.p / self.size**2 * height * width / places * 65536) / 65536)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return images with blocks left out, in training."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        planes, height, width = x.shape[1:]
        gamma = self.centers(height, width)
        if not state.training or not gamma:
            return x
        rows, columns = height - self.size + 1, width - self.size + 1
        drawn = state.draws.int16("", planes * rows * columns).view(-1, planes, rows, columns)
        corners = (drawn < gamma * 65536 - 32768).to(x.dtype)
        blocks = F.max_pool2d(F.pad(corners, [self.size - 1] * 4), self.size, 1)
        mask = 1 - blocks
        return x * mask.div_(mask.mean((1, 2, 3), keepdim=True).clamp_(min=1 / mask[0].numel()))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the images as they are."""
        return x

    def module(self, shape: Shape) -> str:
        """Return ``DropBlock``."""
        return f"DropBlock({self.centers(*shape[1:])}, {self.size})"
