"""Networks that several benchmarks train: as layers of a spec, and as modules of plain PyTorch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

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


class Block(nn.Module):
    """Two convolutions and a shortcut, which projects rows where the number of channels changes."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        stride = channels // inputs
        self.first = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return activations (N, C, H, W)."""
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class ResNet20(nn.Module):
    """The network of He, Zhang, Ren and Sun 2016, section 4.2, with projections."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.blocks = nn.Sequential(*(Block(*pair) for pair in itertools.pairwise(widths)))
        self.output = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, 10) of images (N, 3, 32, 32)."""
        logits: Tensor = self.output(self.blocks(torch.relu(self.norm(self.conv(x)))).mean((2, 3)))
        return logits
