"""Two-dimensional convolution: the same weighted sum at every place of an image.

    y = K ∗ x + b

Reference: LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition";
``torch.nn.Conv2d``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from worker.spec.families.convolution import ConvolutionLayer
from worker.spec.families.layer import Shape


class Conv2dLayer(ConvolutionLayer):
    """Kernels that slide over images."""

    equation: ClassVar[str] = "y = K ∗ x + b"
    reference: ClassVar[str] = "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to documents"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"channels": 4}, (2, 6, 5)),
        ({"channels": 6, "kernel_size": 3, "stride": 2, "padding": 1, "groups": 2, "bias": False}, (4, 7, 8)),
        ({"channels": 2, "kernel_size": 2, "padding": 0, "dilation": 2}, (1, 6, 6)),
    )
    directions: ClassVar[int] = 2
    rows: ClassVar[str] = "images (channels × height × width)"

    kind: Literal["conv2d"] = "conv2d"
