"""Manifold mixup: mixtures of what the network makes of two examples, with a mixture of their labels.

    h̃ = λ·h_i + (1 − λ)·h_j,    t̃ = λ·t_i + (1 − λ)·t_j,    λ ~ Beta(α, α),    h of a random layer

For each batch, a layer is drawn: the inputs, or one of the first ``depth`` dense hidden layers. There, each row i is
mixed with a row j of the batch, in a random order of the rows; λ is drawn for each row. ``train.loss`` is the loss
against the mixed labels, as with ``mixup``.

Reference: Verma, Lamb, Beckham, Najafi, Mitliagkas, Lopez-Paz and Bengio, 2019, "Manifold mixup: better representations
by interpolating hidden states".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Objection, PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec


class ManifoldMixup(Regularizer):
    """Mix pairs of rows at a random layer."""

    equation: ClassVar[str] = "h̃ = λ·h_i + (1 − λ)·h_j,  t̃ = λ·t_i + (1 − λ)·t_j,  λ ~ Beta(α, α)"
    reference: ClassVar[str] = (
        "Verma et al. 2019, Manifold mixup: better representations by interpolating hidden states"
    )
    presupposes_layers: ClassVar[bool] = True

    kind: Literal["manifold_mixup"] = "manifold_mixup"
    alpha: PerRun[float] = Field(default=2.0, gt=0, le=100, description="α: near 0 rows are hardly mixed, at 1 evenly.")
    depth: int = Field(
        default=1, ge=1, le=64, description="How many hidden layers may be drawn, from the first, besides the inputs."
    )

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a depth that the model does not have."""
        layers = run.effective_model.hidden_layers(run.dataset.shape)
        if layers >= self.depth:
            return ()
        if not layers:
            message = f"The model {run.model.kind!r} has no dense hidden layer to mix in; use 'mixup'."
            return [Objection(field=None, message=message)]
        message = f"The model has {layers} dense hidden layers, so a depth of {self.depth} is too large."
        return [Objection(field="depth", message=message, allowed=list(range(1, layers + 1)))]

    @staticmethod
    def mix(part: Stacked[ManifoldMixup], x: Tensor, targets: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Mix the targets, and the inputs of runs whose layer these are."""
        import torch

        share, order, _ = _pairs(part, rng)
        rows = x.flatten(2)
        mixed = torch.where(_layers(part, rng) == 0, _mixed(rows, share, order), rows)
        return mixed.view(x.shape), _mixed(targets, share, order)

    @staticmethod
    def mix_hidden(part: Stacked[ManifoldMixup], a: Tensor, rng: Rng, layer: int) -> Callable[[Tensor], Tensor]:
        """Mix the activations of runs whose layer this is."""
        import torch

        if layer >= part.depth:
            return lambda g: g
        share, order, inverse = _pairs(part, rng)
        here = _layers(part, rng) == layer + 1
        a.copy_(torch.where(here, _mixed(a, share, order), a))

        def unmix(g: Tensor) -> Tensor:
            theirs = (g * (1 - share)).gather(1, inverse.expand(g.shape))
            return torch.where(here, g * share + theirs, g)

        return unmix


def _layers(part: Stacked[ManifoldMixup], rng: Rng) -> Tensor:
    """The layer of each run's batch, (K, 1, 1): 0 for the inputs, else the number of the hidden layer."""
    drawn = rng.batch_int16("layer", 1).long() + 32768
    layers: Tensor = drawn * (part.depth + 1) // 65536
    return layers.unsqueeze(2)


def _pairs(part: Stacked[ManifoldMixup], rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
    """Each row's share λ, its partner, and the row whose partner it is; (K, N, 1) each."""
    share = rng.beta("share", [one.alpha for one in part.parts])
    order = rng.uniform("partner").argsort(dim=1, stable=True)
    return share.unsqueeze(2), order.unsqueeze(2), order.argsort(1).unsqueeze(2)


def _mixed(x: Tensor, share: Tensor, order: Tensor) -> Tensor:
    """Rows of ``x`` (K, N, D), mixed with their partners."""
    return x * share + x.gather(1, order.expand(x.shape)) * (1 - share)
