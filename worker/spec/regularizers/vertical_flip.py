"""Random vertical flip: for things that have no up and down, or to see what a wrong augmentation does.

    x̃[i, j] = x[H − 1 − i, j] with probability p, else x[i, j]

Reference: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks";
pixels as torchvision's ``vflip``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from worker.spec.flips import Flip


class VerticalFlip(Flip):
    """Turn each training image upside down with probability p."""

    equation: ClassVar[str] = "x̃[i, j] = x[H − 1 − i, j] with probability p, else x[i, j]"
    reference: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep CNNs"
    axis: ClassVar[int] = 0

    kind: Literal["vertical_flip"] = "vertical_flip"
