"""Random horizontal flip: what is seen from the other side is the same thing.

    x̃[i, j] = x[i, W − 1 − j] with probability p, else x[i, j]

Reference: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks";
pixels as torchvision's ``hflip``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from worker.spec.flips import Flip


class HorizontalFlip(Flip):
    """Mirror each training image, left to right, with probability p."""

    equation: ClassVar[str] = "x̃[i, j] = x[i, W − 1 − j] with probability p, else x[i, j]"
    reference: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep CNNs"
    axis: ClassVar[int] = 1

    kind: Literal["horizontal_flip"] = "horizontal_flip"
