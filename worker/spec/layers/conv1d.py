"""One-dimensional convolution: the same weighted sum at every step of a sequence of channels.

    y = K ∗ x + b

Series arrive as vectors of D numbers: 'reshape' to 1 × D makes them a sequence of one channel.

Reference: Waibel, Hanazawa, Hinton, Shikano and Lang, 1989, "Phoneme recognition using time-delay neural networks";
``torch.nn.Conv1d``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from worker.spec.families.convolution import ConvolutionLayer
from worker.spec.families.layer import Shape


class Conv1dLayer(ConvolutionLayer):
    """Kernels that slide over sequences."""

    equation: ClassVar[str] = "y = K ∗ x + b"
    reference: ClassVar[str] = "Waibel et al. 1989, Phoneme recognition using time-delay neural networks"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"channels": 4}, (2, 9)),
        ({"channels": 6, "kernel_size": 5, "stride": 2, "padding": 2, "groups": 2, "bias": False}, (4, 12)),
        ({"channels": 2, "kernel_size": 2, "padding": 0, "dilation": 3}, (1, 8)),
    )
    directions: ClassVar[int] = 1
    rows: ClassVar[str] = "sequences (channels × length; make vectors such by 'reshape')"

    kind: Literal["conv1d"] = "conv1d"
