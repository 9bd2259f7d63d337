"""Modules of PyTorch for layers that ``torch.nn`` does not have, as a model's Python file defines them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


class RoundedLinear(nn.Linear):
    """A dense layer that multiplies numbers rounded to bfloat16; sums are float32."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x·Wᵀ + b."""
        return functional.linear(x.bfloat16().float(), self.weight.bfloat16().float()) + self.bias


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


class TokenEmbedding(nn.Embedding):
    """The vectors of tokens, which may be numbers of any type."""

    def forward(self, x: Tensor) -> Tensor:
        """Return vectors (N, L, E) of tokens (N, L)."""
        return super().forward(x.long())


class ColumnEmbedding(nn.ModuleList):
    """Features of a table, with a vector in the place of the 0/1 features of each embedded column."""

    def __init__(self, columns: Iterable[tuple[int, int, int]]) -> None:
        columns = list(columns)
        super().__init__(nn.Embedding(features, width) for _, features, width in columns)
        self.places = [(begin, begin + features) for begin, features, _ in columns]

    def forward(self, x: Tensor) -> Tensor:
        """Return features with vectors (N, D') of features (N, D)."""
        parts, end = list[Tensor](), 0
        for vectors, (begin, following) in zip(self.parameters(), self.places, strict=True):
            parts += [x[:, end:begin], x[:, begin:following] @ vectors]
            end = following
        return torch.cat([*parts, x[:, end:]], 1)


class PositionalEncoding(nn.Module):
    """A vector for each place of a sequence, added to the one there."""

    def __init__(self, length: int, width: int, *, learned: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(length, width)) if learned else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum (N, L, E)."""
        if self.weight is not None:
            return x + self.weight
        length, width = x.shape[1:]
        numbers = torch.arange(width, dtype=torch.float64)
        angles = torch.arange(length, dtype=torch.float64)[:, None] / 10_000.0 ** (2 * (numbers // 2) / width)
        return x + torch.where(numbers % 2 == 1, angles.cos(), angles.sin()).to(x)


class SequencePool(nn.Module):
    """One vector for a sequence: mean, max, first or last."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        """Return vectors (N, E) of sequences (N, L, E)."""
        if self.method == "mean":
            return x.mean(1)
        if self.method == "max":
            return x.amax(1)
        return x[:, 0] if self.method == "first" else x[:, -1]


class Transpose(nn.Module):
    """The two sizes of a sequence, exchanged."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, E, L) of (N, L, E)."""
        return x.transpose(1, 2)


class Patchify(nn.Module):
    """The squares of images, row by row, as a sequence of vectors."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.cut = nn.Unfold(size, stride=size)

    def forward(self, x: Tensor) -> Tensor:
        """Return patches (N, L, E) of images (N, C, H, W)."""
        patches: Tensor = self.cut(x)
        return patches.transpose(1, 2)


class SelfAttention(nn.MultiheadAttention):
    """Attention of a sequence to itself."""

    def __init__(self, width: int, heads: int, *, causal: bool, dropout: float) -> None:
        super().__init__(width, heads, dropout=dropout, batch_first=True)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return what the places of (N, L, E) gather."""
        mask = causal_mask(x) if self.causal else None
        gathered, _ = super().forward(x, x, x, attn_mask=mask, need_weights=False)
        return gathered


class TransformerBlock(nn.TransformerEncoderLayer):
    """A transformer's layer, causal or not."""

    def __init__(
        self, width: int, heads: int, hidden: int, *, dropout: float, activation: str, norm_first: bool, causal: bool
    ) -> None:
        super().__init__(width, heads, hidden, dropout, activation, batch_first=True, norm_first=norm_first)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return sequences (N, L, E)."""
        return super().forward(x, causal_mask(x) if self.causal else None)


def causal_mask(x: Tensor) -> Tensor:
    """Return where the places of (N, L, E) must not look, (L, L): at those after them."""
    return torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)


class RecurrentGRU(nn.GRU):
    """The hidden states of a GRU."""

    def __init__(self, inputs: int, width: int, *, bidirectional: bool = False, output: str) -> None:
        super().__init__(inputs, width, batch_first=True, bidirectional=bidirectional)
        self.output = output

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return them at the end (N, E), or at every place (N, L, E)."""
        states, ends = super().forward(x)
        return states if self.output == "sequence" else ends.transpose(0, 1).flatten(1)


class RecurrentLSTM(nn.LSTM):
    """The hidden states of an LSTM."""

    def __init__(self, inputs: int, width: int, *, bidirectional: bool = False, output: str) -> None:
        super().__init__(inputs, width, batch_first=True, bidirectional=bidirectional)
        self.output = output

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return them at the end (N, E), or at every place (N, L, E)."""
        states, (ends, _) = super().forward(x)
        return states if self.output == "sequence" else ends.transpose(0, 1).flatten(1)
