"""Networks of layers for the laws: small ones for images, of every group of layers."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from worker.spec.families.layer import Shape
from worker.spec.layers import KINDS

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
    [
        conv(3, kernel_size=5, stride=2, padding=2),
        {"kind": "leaky_relu"},
        {"kind": "spatial_dropout", "p": 0.2},
        {"kind": "residual", "layers": [conv(3), {"kind": "gelu"}, {"kind": "drop_path", "p": 0.3}]},
        {"kind": "squeeze_excite", "reduction": 2},
        {"kind": "global_max_pool"},
    ],
    [
        {"kind": "parallel", "branches": [[conv(2), NORMS[0], {"kind": "silu"}], [conv(2, kernel_size=1)], []]},
        {"kind": "drop_block", "p": 0.2, "size": 3},
        {"kind": "adaptive_avg_pool", "size": 3},
        {"kind": "flatten"},
    ],
    [
        {"kind": "reshape", "shape": [1, -1]},
        {"kind": "conv1d", "channels": 3, "kernel_size": 5, "stride": 3, "padding": 2},
        {"kind": "layer_norm", "over": "all"},
        {"kind": "elu"},
        {"kind": "gaussian_noise"},
        {"kind": "flatten"},
    ],
    [{"kind": "flatten"}, {"kind": "rms_norm"}, {"kind": "selu"}, {"kind": "alpha_dropout", "p": 0.2}],
]
"""Layers from an image to a vector."""
HEADS: list[list[Layer]] = [
    [],
    [{"kind": "dense", "width": 8}, RELU],
    [{"kind": "dense", "width": 8}, RELU, {"kind": "dropout", "p": 0.4}, {"kind": "dense", "width": 6}, RELU],
    [{"kind": "dense", "width": 6}, {"kind": "batch_norm"}, {"kind": "tanh"}, {"kind": "dense", "width": 5}, RELU],
    [{"kind": "dense", "width": 8}, {"kind": "maxout"}, {"kind": "softplus"}],
]
"""Layers from a vector to a vector."""

SEQUENCES: list[list[Layer]] = [
    [
        {"kind": "patchify", "size": 4},
        {"kind": "dense", "width": 6},
        {"kind": "positional_encoding"},
        {"kind": "transformer_block", "heads": 2, "dropout": 0.2},
        {"kind": "sequence_pool"},
    ],
    [
        {"kind": "patchify", "size": 4},
        {"kind": "residual", "layers": [{"kind": "transpose"}, {"kind": "dense", "width": 4}, {"kind": "transpose"}]},
        {"kind": "lstm", "width": 5, "bidirectional": True},
    ],
]
"""Layers from an image to a vector by way of a sequence."""
TOKENS: list[list[Layer]] = [
    [{"kind": "positional_encoding"}, {"kind": "transformer_block", "heads": 2, "causal": True, "norm": "after"}],
    [{"kind": "self_attention", "heads": 1, "dropout": 0.3}, {"kind": "sequence_pool", "method": "last"}],
    [{"kind": "gru", "width": 7}],
]
"""Layers on embedded tokens."""


def unlisted() -> dict[str, Layer]:
    """Models around the layers that none of these networks has, by kind, such as a new layer."""
    listed = str((BODIES, HEADS, SEQUENCES, TOKENS))
    parts = {kind: part for kind, part in KINDS.items() if f"'{kind}'" not in listed and not part.takes_dataset}
    return {kind: around({"kind": kind, **part.examples[0][0]}, part.examples[0][1]) for kind, part in parts.items()}


def around(layer: Layer, shape: Shape) -> Layer:
    """A model in which rows of ``shape`` arrive at the layer."""
    before = [{"kind": "flatten"}, {"kind": "dense", "width": math.prod(shape)}, {"kind": "reshape", "shape": [*shape]}]
    return {"kind": "sequential", "layers": [*before, layer]}


def tokens(vocabulary: int, layers: list[Layer]) -> dict[str, Any]:
    """A model of tokens."""
    return {"kind": "sequential", "layers": [{"kind": "embedding", "vocabulary": vocabulary, "width": 6}, *layers]}


of_tokens = st.builds(tokens, st.just(99), st.sampled_from(TOKENS))
sequential = st.builds(
    lambda body, head: {"kind": "sequential", "layers": [*body, *head]},
    st.sampled_from(BODIES + SEQUENCES),
    st.sampled_from(HEADS),
)


@st.composite
def varied(draw: st.DrawFn, layer: Layer) -> Layer:
    """The layer or model, with other values of the fields that may differ within a stack, in inner layers too."""
    body: Layer = _varied(draw, layer)
    return body


def _varied(draw: st.DrawFn, value: Any) -> Any:
    """The value of a field, in which layers vary."""
    if isinstance(value, list):
        return [_varied(draw, one) for one in value]
    if not isinstance(value, dict):
        return value
    body = {name: _varied(draw, one) for name, one in value.items()}
    if value["kind"] in KINDS:
        part = KINDS[value["kind"]]
        for name in part.per_run():
            usual: float = body.get(name, part.model_fields[name].default)
            body[name] = draw(st.sampled_from([usual, usual / 2, usual / 3]))
    return body
