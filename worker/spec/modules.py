"""Modules of PyTorch for layers that ``torch.nn`` does not have, as a model's Python file defines them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


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


class Parallel(nn.Module):
    """The results of branches, joined along the channels or added."""

    def __init__(self, join: str, branches: Iterable[nn.Module]) -> None:
        super().__init__()
        self.join = join
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined or added results."""
        results = [branch(x) for branch in self.branches]
        return torch.cat(results, 1) if self.join == "concat" else torch.stack(results).sum(0)


class Maxout(nn.Module):
    """The largest of each group of ``size`` channels."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest of each group."""
        return x.reshape(len(x), -1, self.size, *x.shape[2:]).amax(2)


class SqueezeExcite(nn.Module):
    """Channels, weighted by a small network that sees their means."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return weighted channels."""
        weights: Tensor = self.fc2(self.fc1(x.flatten(2).mean(2)).relu()).sigmoid()
        return x * weights.view(*weights.shape, *[1] * (x.dim() - 2))


class GaussianNoise(nn.Module):
    """Normal noise with standard deviation ``sigma``, in training."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Return rows with noise, in training."""
        return x + self.sigma * torch.randn_like(x) if self.training else x


class DropPath(nn.Module):
    """Rows, each set to zero with probability ``p`` in training; the others are scaled up."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows, some of them left out, in training."""
        if not self.training:
            return x
        remains = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device) >= self.p
        return x * remains / (1 - self.p)


class DropBlock(nn.Module):
    """Images without square blocks, whose corners have the probability ``gamma``, in training."""

    def __init__(self, gamma: float, size: int) -> None:
        super().__init__()
        self.gamma = gamma
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return images with blocks left out, in training."""
        if not self.training:
            return x
        rows, columns = (length - self.size + 1 for length in x.shape[2:])
        corners = (torch.rand(*x.shape[:2], rows, columns, device=x.device) < self.gamma).to(x.dtype)
        mask = 1 - functional.max_pool2d(functional.pad(corners, [self.size - 1] * 4), self.size, 1)
        return x * mask / mask.mean((1, 2, 3), keepdim=True).clamp(min=1 / mask[0].numel())
