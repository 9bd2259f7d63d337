"""Regularizers that change images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

INDEX_BYTES = 8
"""Of a pixel in an index map."""


class ImageOperation(Regularizer):
    """A regularizer that changes images, and refuses other data."""

    ordered: ClassVar[bool] = True

    @property
    def map_count(self) -> int:
        """Number of the index maps of ``pixel_maps``, for a run alone."""
        return 0

    def table_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the index maps for images of this shape."""
        return self.map_count * (math.prod(shape[-2:]) + 1) * INDEX_BYTES

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse rows that are not images."""
        if len(run.dataset.shape) > 1:
            return ()
        message = (
            f"{getattr(self, 'kind', '')!r} works on images, but a row of {run.dataset.kind!r} has shape "
            f"{list(run.dataset.shape)}; leave it out or choose a dataset of images."
        )
        return [Objection(field=None, message=message)]
