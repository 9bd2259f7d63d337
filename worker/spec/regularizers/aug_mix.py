"""AugMix: each image mixed with several chains of random operations on it.

    x̃ = m·x + (1 − m)·Σ_i w_i·C_i(x),    m ~ Beta(α, α),  w ~ Dirichlet(α, …, α)

A chain C_i is one to three operations of ``rand_augment`` but for none, each of a strength below ``severity``. The
label stays. The consistency loss of the paper, which compares three versions of each image, is not part of this.

Reference: Hendrycks, Mu, Cubuk, Zoph, Gilmer and Lakshminarayanan, 2020, "AugMix: a simple data processing method to
improve robustness and uncertainty"; operations and strengths as torchvision's ``AugMix``, nearest pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.augmentations import CHANGES, Policy, changed
from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor

POLICY = Policy(shear=0.3, translate=lambda side: side / 3, degrees=30, factor=0.9, bits=(4, 0), levels=10)
MAX_DEPTH = 3
"""Operations of a random chain, at most."""


class AugMix(ImageOperation):
    """Mix each training image with chains of random operations on it."""

    equation: ClassVar[str] = "x̃ = m·x + (1 − m)·Σ_i w_i·C_i(x),  m ~ Beta(α, α),  w ~ Dirichlet(α, …, α)"
    reference: ClassVar[str] = (
        "Hendrycks, Mu, Cubuk, Zoph, Gilmer and Lakshminarayanan 2020, AugMix: a simple data processing method"
    )

    kind: Literal["aug_mix"] = "aug_mix"
    severity: PerRun[int] = Field(
        default=3, ge=1, le=POLICY.levels, description="Operations have one of so many strengths, from the weakest."
    )
    chains: int = Field(default=3, ge=1, le=8, description="How many chains are mixed.")
    depth: int | None = Field(
        default=None, ge=1, le=8, description="Operations of a chain; null draws one to three for each image."
    )
    alpha: PerRun[float] = Field(default=1.0, ge=0.1, le=100, description="α of both distributions.")

    @staticmethod
    def image(part: Stacked[AugMix], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own chains and weights."""
        alphas = [one.alpha for one in part.parts]
        share, weights = rng.beta("share", alphas), rng.dirichlet("weights", alphas, part.chains)
        mixed = per_image(share) * x
        for i in range(part.chains):
            chain = _chain(part, x, rng.child(f"chain{i}"), white)
            mixed += per_image((1 - share) * weights[:, :, i]) * chain
        return mixed.clamp_(0, white)


def _chain(part: Stacked[AugMix], x: Tensor, rng: Rng, white: float) -> Tensor:
    """Images ``x`` after one to three operations."""
    import torch

    depth = None if part.depth else (rng.uniform("depth") * MAX_DEPTH).long() + 1
    for i in range(part.depth or MAX_DEPTH):
        operation = (rng.uniform(f"operation{i}") * len(CHANGES)).long()
        if depth is not None:
            operation = torch.where(i < depth, operation, len(CHANGES))
        level = (rng.uniform(f"strength{i}") * part.column("severity", 2)).long()
        x = changed(POLICY, x, operation, level, rng.uniform(f"direction{i}") < 0.5, white)
    return x
