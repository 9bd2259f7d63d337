"""Memory of activations: layers inside others count, and attention grows with the square of the length."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.worker.spec.layers.contract import Example, layer_of, state_of, tensors_of
from worker.spec.families.layer import Shape

CASES: list[tuple[str, dict[str, Any], Shape]] = [
    ("residual", {"layers": [{"kind": "dense", "width": 64}, {"kind": "relu"}, {"kind": "dense", "width": 8}]}, (8,)),
    ("parallel", {"branches": [[{"kind": "dense", "width": 64}, {"kind": "relu"}], [{"kind": "tanh"}]]}, (64,)),
    ("self_attention", {"heads": 2}, (24, 8)),
    ("transformer_block", {"heads": 2}, (24, 8)),
    ("gru", {"width": 16}, (24, 8)),
    ("lstm", {"width": 16, "bidirectional": True}, (24, 8)),
]


@pytest.mark.parametrize(("kind", "fields", "shape"), CASES)
def test_activations_are_about_what_autograd_keeps(kind: str, fields: dict[str, Any], shape: Shape) -> None:
    example = Example(layer_of(kind, fields), shape)
    tensors = tensors_of(example.module())
    stored: dict[int, int] = {}
    count = 8

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[:1] == (count,) or tensor.dim() == 3:
            stored[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = example.layer.forward(example.rows(count), state_of(tensors, training=True, rows=count))
    assert result.requires_grad
    assert 0.4 < example.layer.activations(shape) * count / sum(stored.values()) < 3
