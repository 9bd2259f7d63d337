"""Pieces of a run's batch on their way through layers, each on one thread.

Autograd differentiates a piece. Where a layer needs the moments of the whole batch, all pieces stop; their sums are
added in the order of the pieces, and they continue. The gradient is cut there: on the way back, the pieces stop at the
same places, and the gradient through the moments is added to that of the normalized rows:

    y = γ·(x − μ)/σ + β,    ∂L/∂x = γ/σ·(g − mean(g) − (x − μ)/σ·mean(g·(x − μ)/σ))

Reference: Ioffe and Szegedy, 2015, "Batch normalization: accelerating deep network training by reducing internal
covariate shift".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from worker.spec.families.layer import InPieces, Layer, LayerState, Moments, Normalizing, RowDraws
from worker.spec.networks.chain import forward, in_pieces

if TYPE_CHECKING:
    from torch import Tensor

Each = Callable[[Sequence[Callable[[], Any]]], list[Any]]
"""Computes calls and returns their results in order, such as :func:`worker.spec.threads.each_on_one_thread`."""


@dataclass
class Cut:
    """Rows at which the gradient stops."""

    before: Tensor
    after: Tensor
    normalizing: Normalizing | None = None
    moments: Moments | None = None


class Piece:
    """Some rows of one run on their way through layers."""

    def __init__(
        self,
        layers: Sequence[tuple[str, Layer]],
        rows: Callable[[], Tensor],
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        draws: Callable[[str], RowDraws],
    ) -> None:
        """``rows`` makes the rows of the first layer; ``parameters`` are detached, and require gradients later."""
        self._layers, self._rows, self._draws = layers, rows, draws
        self._parameters, self._buffers = parameters, buffers
        self._steps: InPieces | None = None
        self._cuts: list[Cut] = []
        self._stop = 0
        self.features: Tensor | None = None

    def evaluate(self) -> Tensor:
        """Return the flattened result in evaluation mode, (N, features)."""
        import torch

        with torch.no_grad():
            state = LayerState({**self._parameters, **self._buffers}, self._draws, training=False)
            return forward(self._layers, self._rows(), state).flatten(1)

    def advance(self, moments: Moments | None) -> Moments | None:
        """Continue to the next stop with the moments of the last one, and return the piece's own; None at the end."""
        import torch

        with torch.enable_grad():
            try:
                if self._steps is None:
                    self._steps = self._begin()
                    normalizing = next(self._steps)
                else:
                    assert moments is not None
                    self._cuts[self._stop].moments = moments
                    normalizing = self._steps.send(moments)
            except StopIteration as end:
                result: Tensor = end.value
                self.features = result.flatten(1)
                return None
        self._stop = len(self._cuts) - 1
        self._cuts[-1].normalizing = normalizing
        rows = normalizing.rows.detach()
        mean, var = torch.batch_norm_update_stats(rows, None, None, 0.0)
        return Moments(mean, var, rows.numel() // rows.shape[1])

    def _begin(self) -> InPieces:
        tensors = {**self._buffers, **{name: tensor.requires_grad_() for name, tensor in self._parameters.items()}}
        state = LayerState(tensors, self._draws, training=True, cut=self._cut)
        return in_pieces(self._layers, self._rows(), state)

    def _cut(self, x: Tensor) -> Tensor:
        after = x.detach().requires_grad_()
        self._cuts.append(Cut(x, after))
        return after

    @property
    def normalizing(self) -> Normalizing:
        """The request of the last stop."""
        normalizing = self._cuts[self._stop].normalizing
        assert normalizing is not None
        return normalizing

    def retreat(self, g: Tensor | None, sums: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor] | None:
        """Go back to the stop before, and return the piece's sums Σ g·(x − μ)/σ and Σ g; None at the beginning.

        ``g`` is the gradient of the features, at the end; ``sums`` are those of the whole batch, at a stop.
        """
        assert self.features is not None
        if g is not None:
            _differentiate(self.features, g)
        elif sums is not None:
            self._leave(self._cuts.pop(), sums)
        while self._cuts:
            cut = self._cuts[-1]
            if cut.normalizing is not None:
                weight, bias = cut.normalizing.weight.grad, cut.normalizing.bias.grad
                assert weight is not None
                assert bias is not None
                return weight, bias
            self._cuts.pop()
            if cut.after.grad is not None:
                _differentiate(cut.before, cut.after.grad)
        self._steps = None
        return None

    def _leave(self, cut: Cut, sums: tuple[Tensor, Tensor]) -> None:
        """Go back through a stop: add the gradient through the moments to that of the rows."""
        if not cut.before.requires_grad:
            return
        assert cut.moments is not None
        assert cut.normalizing is not None
        assert cut.after.grad is not None
        mean, var, places = cut.moments
        inverse = (var + cut.normalizing.eps).rsqrt_()
        scale = (cut.normalizing.weight.detach() * inverse).div_(-places)
        by_rows = scale * inverse * sums[0]
        constant = (scale * sums[1]).sub_(by_rows * mean)
        _differentiate(cut.before, _add_by_channel(cut.after.grad, cut.after.detach(), by_rows, constant))

    def gradients(self) -> list[Tensor]:
        """Return the gradient of each parameter by these rows."""
        gradients = [tensor.grad for tensor in self._parameters.values()]
        return [gradient for gradient in gradients if gradient is not None]


def _differentiate(result: Tensor, g: Tensor) -> None:
    import torch

    if result.requires_grad:
        torch.autograd.backward([result], [g])


def _add_by_channel(g: Tensor, x: Tensor, factor: Tensor, constant: Tensor) -> Tensor:
    """Add factor·x + constant to ``g`` (N, C, …), with a number of each channel."""
    import torch

    last = torch.channels_last
    if x.dim() == 4 and x.is_contiguous(memory_format=last) and g.is_contiguous(memory_format=last):
        _, channels, _, width = x.shape  # torch is slow with rows as short as a pixel's channels
        flat, rows = (t.permute(0, 2, 3, 1).reshape(-1, width * channels) for t in (g, x))
        factor, constant = (t.expand(width, channels).reshape(-1) for t in (factor, constant))
        flat.addcmul_(rows, factor).add_(constant)
        return g
    each = (-1, *[1] * (x.dim() - 2))
    return g.addcmul_(x, factor.view(each)).add_(constant.view(each))


class Batch:
    """All pieces of one run's batch."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces

    def forward(self, each: Each) -> list[Tensor]:
        """Return the detached features of each piece, in training."""
        moments: Moments | None = None
        while True:
            results = each([partial(piece.advance, moments) for piece in self._pieces])
            if results[0] is None:
                return [piece.features.detach() for piece in self._pieces if piece.features is not None]
            moments = of_batch(results)
            self._pieces[0].normalizing.update(moments)

    def backward(self, g: Sequence[Tensor], each: Each) -> list[Tensor]:
        """Return the gradient of each parameter, given those of the features of each piece."""
        results = each([partial(piece.retreat, rows, None) for piece, rows in zip(self._pieces, g, strict=True)])
        while results[0] is not None:
            scales, shifts = zip(*results, strict=True)
            sums = _sum(scales), _sum(shifts)
            results = each([partial(piece.retreat, None, sums) for piece in self._pieces])
        return [_sum(parts) for parts in zip(*(piece.gradients() for piece in self._pieces), strict=True)]


def _sum(parts: Sequence[Tensor]) -> Tensor:
    """Return the sum in order."""
    total = parts[0].clone() if len(parts) > 1 else parts[0]
    for part in parts[1:]:
        total.add_(part)
    return total


def of_batch(moments: Sequence[Moments]) -> Moments:
    """Return the moments of a batch from those of its pieces, added in their order.

    Reference: Chan, Golub and LeVeque, 1983, "Algorithms for computing the sample variance".
    """
    if len(moments) == 1:
        return moments[0]
    places = sum(one.places for one in moments)
    mean = _sum([one.mean * (one.places / places) for one in moments])
    var = _sum([(one.mean - mean).square_().add_(one.var).mul_(one.places / places) for one in moments])
    return Moments(mean, var, places)
