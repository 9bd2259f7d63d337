"""Networks of layers that several benchmarks train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Layer = dict[str, Any]
NORM: Layer = {"kind": "batch_norm"}
RELU: Layer = {"kind": "relu"}


def resnet(blocks: int, channels: Sequence[int]) -> dict[str, Any]:
    """Return a residual network for small images: ResNet-20 has 3 blocks of 16, 32 and 64 channels.

    Reference: He, Zhang, Ren and Sun, 2016, "Deep residual learning for image recognition", section 4.2.
    """

    def conv(width: int, stride: int = 1) -> Layer:
        return {"kind": "conv2d", "channels": width, "stride": stride, "padding": 1, "bias": False}

    layers: list[Layer] = [conv(channels[0]), NORM, RELU]
    for stage, width in enumerate(channels):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = [conv(width, stride), NORM, RELU, conv(width), NORM]
            layers += [{"kind": "residual", "layers": inner}, RELU]
    return {"kind": "sequential", "layers": [*layers, {"kind": "global_avg_pool"}]}
