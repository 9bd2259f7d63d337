"""The base of convolutions in one and two directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, divisors, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class ConvolutionLayer(Layer):
    """Kernels that slide over sequences or images."""

    directions: ClassVar[int]
    """1 for sequences of channels, 2 for images."""
    rows: ClassVar[str]
    """Description of the rows that fit, for messages."""
    fresh: ClassVar[bool] = True

    channels: int = Field(ge=1, le=65_536, examples=[32], description="Number of output channels.")
    kernel_size: int = Field(default=3, ge=1, le=255, description="Length of the kernels' sides.")
    stride: int = Field(default=1, ge=1, le=255, description="Pixels or steps from one place to the next.")
    padding: Annotated[int, Field(ge=0, le=255)] | Literal["same"] = Field(
        default="same", description="Zeros on each side; same keeps the size, and needs stride 1 and an odd reach."
    )
    dilation: int = Field(default=1, ge=1, le=255, description="Distance between a kernel's elements.")
    groups: int = Field(default=1, ge=1, le=65_536, description="Groups of channels that are convolved separately.")
    bias: bool = Field(default=True, description="Whether a number is added to each channel.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return channels and lengths."""
        if len(shape) != self.directions + 1:
            message = f"'{self.kind}' takes {self.rows}, and rows of shape {sizes(shape)} arrive."
            raise DoesNotFit(message)
        planes, *lengths = shape
        if planes % self.groups or self.channels % self.groups:
            message = f"{self.groups} groups do not divide {planes} input and {self.channels} output channels."
            common = math.gcd(planes, self.channels)
            raise DoesNotFit(message, "groups", allowed=divisors(common))
        reach = self.dilation * (self.kernel_size - 1)
        if self.padding == "same" and (self.stride > 1 or reach % 2):
            message = (
                "padding 'same' needs stride 1 and a kernel that reaches equally far to both sides; use padding "
                f"{reach // 2} instead."
            )
            raise DoesNotFit(message, "padding", allowed=[reach // 2])
        size = [(length + 2 * self._padding - reach - 1) // self.stride + 1 for length in lengths]
        if min(size) < 1:
            message = (
                f"Rows of {sizes(shape)} arrive, and kernels that reach over {reach + 1} places do not fit; use a "
                "smaller kernel or more padding, or fewer layers before that shrink the rows."
            )
            raise DoesNotFit(message, "kernel_size")
        return (self.channels, *size)

    @property
    def _padding(self) -> int:
        return self.dilation * (self.kernel_size - 1) // 2 if self.padding == "same" else self.padding

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return kernels (out, in / groups, *sides) and a bias (out,)."""
        weight = (self.channels, shape[0] // self.groups, *[self.kernel_size] * self.directions)
        return {"weight": weight, "bias": (self.channels,)} if self.bias else {"weight": weight}

    def flops(self, shape: Shape) -> int:
        """Return two for each weight and place."""
        return super().flops(shape) * math.prod(self.output_shape(shape)[1:])

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the convolution."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        bias, stride = state["bias"] if self.bias else None, self.stride
        if self._is_projection and _overflows(x):
            x, stride = x[:, :, ::stride, ::stride] if self.directions == 2 else x[:, :, ::stride], 1
        convolve = F.conv2d if self.directions == 2 else F.conv1d
        return convolve(x, state["weight"], bias, stride, self._padding, self.dilation, self.groups)

    @property
    def _is_projection(self) -> bool:
        """Whether the kernels have one element and skip places."""
        return self.kernel_size == 1 and self.stride > 1 and not self._padding and self.groups == 1

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the convolution."""
        inputs = [names["weight"], *([names["bias"]] if self.bias else [])]
        more: dict[str, Any] = {} if self.stride == 1 else {"strides": [self.stride] * self.directions}
        if self.dilation > 1:
            more["dilations"] = [self.dilation] * self.directions
        if self.groups > 1:
            more["group"] = self.groups
        return graph.node("Conv", x, *inputs, pads=[self._padding] * 2 * self.directions, **more)

    def module(self, shape: Shape) -> str:
        """Return ``nn.Conv1d`` or ``nn.Conv2d``."""
        more = {"stride": self.stride, "padding": self._padding, "dilation": self.dilation, "groups": self.groups}
        neutral = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        named = [f"{name}={value}" for name, value in more.items() if value != neutral[name]]
        named += [] if self.bias else ["bias=False"]
        arguments = [str(shape[0]), str(self.channels), str(self.kernel_size), *named]
        return f"nn.Conv{self.directions}d({', '.join(arguments)})"


def _overflows(x: Tensor) -> bool:
    """Return whether the gradient of kernels of one element that skip places of ``x`` (N, C, …) damages memory.

    With fewer than eight channels, oneDNN's code for processors with AVX2, but without AVX-512, writes past its buffer.
    """
    import torch

    return x.device.type == "cpu" and x.shape[1] < 8 and "AVX512" not in torch.backends.cpu.get_cpu_capability()
