"""The base of normalizations that may end with a scale and a shift."""

from __future__ import annotations

from pydantic import Field

from worker.spec.families.layer import Layer, Shape
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init
from worker.spec.part import PerRun


class NormalizationLayer(Layer):
    """Mean zero and variance one, then a scale and a shift that are learned."""

    eps: PerRun[float] = Field(default=1e-5, gt=0, le=1, description="Added to the variance.")
    affine: bool = Field(default=True, description="Whether a scale and a shift are learned.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        return shape

    def affine_shape(self, shape: Shape) -> Shape:
        """Return the shape of scale and shift: by default one of each channel."""
        return shape[:1]

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return scale and shift."""
        return {"weight": self.affine_shape(shape), "bias": self.affine_shape(shape)} if self.affine else {}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return ones and zeros: no scale, no shift."""
        return Initialization("constant", 1.0 if name in ("weight", "running_var") else 0.0)

    def module_options(self) -> str:
        """Return the last arguments of the module."""
        return f"eps={self.eps}{'' if self.affine else ', affine=False'}"
