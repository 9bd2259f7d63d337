"""Networks of layers for the laws: small ones for images, of every group of layers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Layer = dict[str, Any]

RELU: Layer = {"kind": "relu"}
NORMS: list[Layer] = [{"kind": "batch_norm"}, {"kind": "group_norm", "groups": 1}]


def conv(channels: int, **fields: Any) -> Layer:
    """A convolution."""
    return {"kind": "conv2d", "channels": channels, **fields}


def residual(norm: Layer) -> Layer:
    """A block of a residual network that halves the image."""
    return {"kind": "residual", "layers": [conv(4, stride=2, padding=1), norm, RELU, conv(4), norm]}


BODIES: list[list[Layer]] = [
    [conv(3), {"kind": "batch_norm"}, RELU, {"kind": "max_pool"}, {"kind": "dropout", "p": 0.3}, {"kind": "flatten"}],
    [conv(2, stride=2, padding=1), residual(NORMS[0]), RELU, {"kind": "global_avg_pool"}],
    [residual(NORMS[1]), RELU, {"kind": "avg_pool"}, {"kind": "flatten"}],
    [{"kind": "flatten"}, {"kind": "dropout", "p": 0.2}],
]
"""Layers from an image to a vector."""
HEADS: list[list[Layer]] = [
    [],
    [{"kind": "dense", "width": 8}, RELU],
    [{"kind": "dense", "width": 6}, {"kind": "batch_norm"}, {"kind": "tanh"}, {"kind": "dense", "width": 5}, RELU],
]
"""Layers from a vector to a vector."""

sequential = st.builds(
    lambda body, head: {"kind": "sequential", "layers": [*body, *head]}, st.sampled_from(BODIES), st.sampled_from(HEADS)
)
