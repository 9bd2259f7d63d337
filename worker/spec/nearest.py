"""The nearest of many rows, exactly: smallest Euclidean distance first, and of equally distant rows the first one.

    ‖q − y‖² = ‖q‖² − 2·(q·y − ½‖y‖²)

so one matrix product ranks all rows y for a block of rows q. The highest ranks are candidates, a few more than
requested. Their distances are then computed without error; if the next candidate could be as near as the last requested
one, more candidates are measured. So the result does not depend on the library that multiplies, the number of threads
or the size of blocks.

Bytes are shifted by 128: products of up to 1024 such numbers and all their partial sums are integers of at most 2²⁴, so
float32 is exact in any order of addition. Longer rows of bytes are multiplied in float64, also exactly. For other rows,
float64 products select the candidates, and the sum of squared differences, in one fixed order, ranks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor

EXACT_WIDTH = 1024
"""The sum of this many products of numbers up to 128 is at most 2²⁴."""
GROUP = 64
"""Rows whose best score stands for all of them in a first selection."""
SPARE = 16
"""Candidates beyond the requested number."""
BLOCK = 1 << 23
"""Scores that are held at once, of which there are two tables: 64 MiB in float32, twice as much in float64."""


class Memory:
    """Rows, ready to be searched for the nearest. Besides them it holds a float copy, 4 or 8 bytes a number."""

    def __init__(self, rows: Tensor) -> None:
        """Of ``rows`` (N, D), uint8 or floating point; they stay the caller's."""
        import torch

        self._rows = rows
        self._whole = rows.dtype == torch.uint8
        short = self._whole and rows.shape[1] <= EXACT_WIDTH
        self._dtype = torch.float32 if short else torch.float64
        self._centre: Tensor | float = 128.0 if self._whole else rows.double().mean(0)
        padding = -len(rows) % GROUP
        y = self._shifted(rows)
        norms = y.square().sum(1, dtype=torch.float64)
        self._largest = norms.max()
        # Rows that fill up the last group are infinitely far.
        self._y = torch.nn.functional.pad(y, (0, 0, 0, padding))
        self._half = torch.nn.functional.pad(norms / 2, (0, padding), value=torch.inf).to(self._dtype)
        self._norms = norms

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def block_rows(self) -> int:
        """How many rows to ask about at once."""
        return max(1, BLOCK // len(self._y))

    def nearest(self, queries: Tensor, most: int, spare: int = SPARE) -> Tensor:
        """The places (n, most) of the nearest rows of each of ``queries`` (n, D), the nearest first; int64."""
        import torch

        q = self._shifted(queries)
        products = q @ self._y.T
        count = min(most + spare, len(self))
        scores, places = _highest(products - self._half, count)
        places = places.sort(dim=1).values  # so that a stable sort leaves equally distant rows in their order
        norms = q.square().sum(1, dtype=torch.float64).unsqueeze(1)
        if self._whole:
            distances = norms + self._norms[places] - 2 * products.gather(1, places).double()
        else:
            distances = self._measured(queries, places)
        distances, order = distances.sort(dim=1, stable=True)
        values = places.gather(1, order)[:, :most]
        if count < len(self):
            unseen = norms - 2 * scores[:, -1:].double() - self._slack(norms)
            unsure = (distances[:, most - 1 : most] >= unseen).squeeze(1).nonzero().squeeze(1)
            if len(unsure):
                values[unsure] = self.nearest(queries[unsure], most, 4 * spare)
        return values

    def _shifted(self, rows: Tensor) -> Tensor:
        """The rows as they are multiplied: near zero, where float numbers are densest."""
        return rows.to(self._dtype) - self._centre

    def _measured(self, queries: Tensor, places: Tensor) -> Tensor:
        """The squared distances (n, m) to the rows at ``places``, in float64 and in an order of their own."""
        differences = self._rows[places].double() - queries.double().unsqueeze(1)
        return summed(differences.square_()).squeeze(2)

    def _slack(self, norms: Tensor) -> Tensor | float:
        """By how much a squared distance that scores tell of, and one that is measured, may be wrong together."""
        if self._whole:
            return 2.0 if self._y.element_size() == 4 else 0.0  # half a unit in the last place below 2²⁵, twice
        return 16 * (self._rows.shape[1] + 8) * 2.0**-53 * (norms + self._largest)


def _highest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` highest of each row of ``scores`` (n, N) and their places; which of equal ones is left open.

    None is outside of the ``count`` groups with the highest scores, so that most groups need not be sorted.
    """
    groups = scores.view(len(scores), -1, GROUP)
    if groups.shape[1] <= count:
        values, places = scores.topk(count, 1)
        return values, places
    best = groups.amax(2).topk(count, 1).indices
    inside = groups.gather(1, best.unsqueeze(2).expand(-1, -1, GROUP)).flatten(1)
    values, at = inside.topk(count, 1)
    return values, best.gather(1, at // GROUP) * GROUP + at % GROUP
