"""Modules of PyTorch for layers that ``torch.nn`` does not have, as a model's Python file defines them."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """The sum of rows, or of their projection, and the layers' result."""

    def __init__(self, layers: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        changed: Tensor = self.layers(x)
        shortcut: Tensor = self.shortcut(x)
        return changed + shortcut
