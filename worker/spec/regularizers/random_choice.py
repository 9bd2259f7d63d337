"""Random choice: one of several image operations, another for each image.

    x̃ = T_c(x),    P(c = i) = p_i,    each 1/n by default

Reference: Cubuk, Zoph, Shlens and Le, 2020, "RandAugment: practical automated data augmentation with a reduced search
space".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng, defines
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import Objection, Stacked
from worker.spec.warps import apply, per_image

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.regularizers import AnyRegularizer
    from worker.spec.run import RunSpec


class RandomChoice(ImageOperation):
    """Apply one of ``of`` to each training image."""

    equation: ClassVar[str] = "x̃ = T_c(x),  P(c = i) = p_i"
    reference: ClassVar[str] = "Cubuk, Zoph, Shlens and Le 2020, RandAugment: practical automated data augmentation"

    kind: Literal["random_choice"] = "random_choice"
    of: tuple[AnyRegularizer, ...] = Field(
        min_length=2,
        max_length=16,
        examples=[[{"kind": "rotation", "degrees": 10}, {"kind": "blur"}]],
        description="Image operations of which each image gets one.",
    )
    probabilities: tuple[Annotated[float, Field(ge=0, le=1)], ...] | None = Field(
        default=None,
        exclude_if=lambda probabilities: probabilities is None,  # so that hashes are the same as before they existed
        description="Probability of each operation; null gives all the same.",
    )

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse data that are no images, and parts that are no operation on one image."""
        objections = [*super().objections(run), *self._of_probabilities()]
        for i, part in enumerate(self.of):
            if not any(defines(type(part), name) for name in ("pixel_maps", "image")):
                message = f"{part.kind!r} does not change a single image; list it beside random_choice instead."
                objections.append(Objection(field=f"of.{i}", message=message))
            if part.active is not None:
                message = "The operations of random_choice have no epochs of their own; set 'active' on random_choice."
                objections.append(Objection(field=f"of.{i}.active", message=message))
        return objections

    def _of_probabilities(self) -> Sequence[Objection]:
        """Refuse probabilities that are not one for each operation, or do not add up to 1."""
        if self.probabilities is None:
            return ()
        if len(self.probabilities) != len(self.of):
            message = f"{len(self.of)} operations need as many probabilities, not {len(self.probabilities)}."
            return [Objection(field="probabilities", message=message)]
        total = math.fsum(self.probabilities)
        if math.isclose(total, 1, abs_tol=1e-6):
            return ()
        message = f"The probabilities add up to {total:g}, not to 1."
        if total > 0:
            message += f" Divided by their sum, they are {[round(p / total, 4) for p in self.probabilities]}."
        return [Objection(field="probabilities", message=message)]

    def table_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the tables of all operations."""
        return sum(part.table_bytes(shape) for part in self.of)

    @staticmethod
    def image(part: Stacked[RandomChoice], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every operation on all rows; each row keeps the result of its own."""
        import torch

        count = len(part.parts[0].of)
        drawn, probabilities = rng.uniform(), part.probabilities
        if probabilities is None:
            chosen = per_image((drawn * count).long())
        else:
            bounds = list(itertools.accumulate(probabilities))[:-1]
            chosen = per_image(torch.bucketize(drawn, torch.tensor(bounds, device=x.device), right=True))
        result = x
        for i in range(count):
            inner = part.inner("of", i)
            changed = apply(inner, x.clone(), rng.child(f"{i}/{inner.kind}"), white)
            result = torch.where(chosen == i, changed, result)
        return result
