"""Sequential: any layers in a row, and a dense layer to the outputs.

    h₀ = x;    hᵢ₊₁ = layerᵢ(hᵢ);    logits = W·vec(h) + b

The output layer is added, and rows that are no vectors are flattened before it. Grey images arrive with one channel
(1 × height × width), series as a vector: 'reshape' turns them into a sequence.

Reference: Chollet and others, 2015–, "Keras", whose ``Sequential`` names the idea; ``torch.nn.Sequential``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from worker.spec.families.layer import Layer
from worker.spec.initialization import Init, init_field
from worker.spec.layers import AnyLayer
from worker.spec.networks.model import LayeredModel

MAX_NESTING = 16


class Sequential(LayeredModel):
    """Layers in a row."""

    equation: ClassVar[str] = "hᵢ₊₁ = layerᵢ(hᵢ);  logits = W·vec(h) + b"
    reference: ClassVar[str] = "Chollet and others 2015–, Keras"

    kind: Literal["sequential"] = "sequential"
    layers: tuple[AnyLayer, ...] = Field(
        max_length=256,
        examples=[
            [{"kind": "flatten"}, {"kind": "dense", "width": 64}, {"kind": "relu"}, {"kind": "dropout", "p": 0.2}]
        ],
        description="The layers, from the input on; the output layer is added.",
    )
    init: Init = init_field()

    @field_validator("layers")
    @classmethod
    def _limit_nesting(cls, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        # Each level of a place has one field of layers: ("layers", 2, "branches", 0, 1) has two.
        places = [place for layer in layers for place, _ in layer.walk()]
        levels = 1 + max((sum(isinstance(step, str) for step in place) for place in places), default=0)
        if levels > MAX_NESTING:
            raise ValueError(f"layers contain layers {levels} levels deep; at most {MAX_NESTING} are possible")
        return layers

    def named_layers(self) -> Sequence[tuple[str, Layer]]:
        """Return the layers, named by their position."""
        return [(f"layers.{i}", layer) for i, layer in enumerate(self.layers)]

    def place_of(self, index: int) -> tuple[str | int, ...]:
        """Return the place in ``layers``."""
        return ("layers", index)
