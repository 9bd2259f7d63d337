"""Random choice: one of several image operations, another for each image.

    x̃ = T_c(x),    c uniform in 1 … n

Reference: Cubuk, Zoph, Shlens and Le, 2020, "RandAugment: practical automated data augmentation with a reduced search
space".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import ImageOperation, Rng, defines
from worker.spec.part import Objection, Stacked
from worker.spec.warps import apply, per_image

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.regularizers import AnyRegularizer
    from worker.spec.run import RunSpec


class RandomChoice(ImageOperation):
    """Apply one of ``of`` to each training image, each as likely as the others."""

    equation: ClassVar[str] = "x̃ = T_c(x),  c uniform in 1 … n"
    reference: ClassVar[str] = "Cubuk, Zoph, Shlens and Le 2020, RandAugment: practical automated data augmentation"

    kind: Literal["random_choice"] = "random_choice"
    of: tuple[AnyRegularizer, ...] = Field(
        min_length=2,
        max_length=16,
        examples=[[{"kind": "rotation", "degrees": 10}, {"kind": "blur"}]],
        description="Image operations of which each image gets one.",
    )

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse data that are no images, and parts that are no operation on one image."""
        objections = list(super().objections(run))
        for i, part in enumerate(self.of):
            if not any(defines(type(part), name) for name in ("pixel_maps", "image")):
                message = f"{part.kind!r} does not change a single image; list it beside random_choice instead."
                objections.append(Objection(field=f"of.{i}", message=message))
            if part.active is not None:
                message = "The operations of random_choice have no epochs of their own; set 'active' on random_choice."
                objections.append(Objection(field=f"of.{i}.active", message=message))
        return objections

    def table_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the tables of all operations."""
        return sum(part.table_bytes(shape) for part in self.of)

    @staticmethod
    def image(part: Stacked[RandomChoice], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every operation on all rows; each row keeps the result of its own."""
        import torch

        count = len(part.parts[0].of)
        chosen = per_image((rng.uniform() * count).long())
        result = x
        for i in range(count):
            inner = part.inner("of", i)
            changed = apply(inner, x.clone(), rng.child(f"{i}/{inner.kind}"), white)
            result = torch.where(chosen == i, changed, result)
        return result
