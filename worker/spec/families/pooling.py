"""The base of poolings over windows."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, Shape, sizes


class PoolingLayer(Layer):
    """One number for each window of an image or a sequence of channels."""

    fresh: ClassVar[bool] = True

    size: int = Field(default=2, ge=1, le=4096, description="Length of the window's sides.")
    stride: int | None = Field(default=None, ge=1, le=4096, description="From one window to the next; null is size.")
    padding: int = Field(default=0, ge=0, le=2048, description="Places added on each side; at most half of size.")
    ceil: bool = Field(default=False, description="Whether a last window may reach beyond the border.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of windows in each direction."""
        if len(shape) not in (2, 3):
            message = f"'{self.kind}' takes images or sequences of channels, and rows of shape {sizes(shape)} arrive."
            raise DoesNotFit(message)
        if self.padding > self.size // 2:
            message = (
                f"padding {self.padding} is more than half of size {self.size}, so a window could lie outside the row. "
                f"Use at most {self.size // 2}."
            )
            raise DoesNotFit(message, "padding", allowed=list(range(min(self.size // 2, 63) + 1)))
        if min(shape[1:]) + 2 * self.padding < self.size:
            message = (
                f"Rows of {sizes(shape)} arrive, in which no window of {self.size} fits; use a smaller size or leave "
                "a pooling out."
            )
            raise DoesNotFit(message, "size")
        return (shape[0], *map(self._windows, shape[1:]))

    def _windows(self, length: int) -> int:
        """Return the number of windows in one direction: each begins in the row or in the padding before it."""
        room = length + 2 * self.padding - self.size
        windows = (-(-room // self._stride) if self.ceil else room // self._stride) + 1
        return windows - (self.ceil and (windows - 1) * self._stride >= length + self.padding)

    @property
    def _stride(self) -> int:
        return self.stride or self.size

    def flops(self, shape: Shape) -> int:
        """Return one for each number of each window."""
        output = self.output_shape(shape)
        return int(math.prod(output) * self.size ** (len(output) - 1))

    def _ends(self, shape: Shape) -> list[int]:
        """Return the places after the end of each direction to which windows reach."""
        return [
            max(0, (self._windows(length) - 1) * self._stride + self.size - length - self.padding)
            for length in shape[1:]
        ]

    def _arguments(self) -> str:
        """Return the arguments of the module."""
        more = [f"padding={self.padding}"] if self.padding else []
        return ", ".join([str(self.size), str(self._stride), *more, *(["ceil_mode=True"] if self.ceil else [])])
