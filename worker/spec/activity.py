"""Penalties on the activations of hidden layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Objection
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec


class ActivityPenalty(Regularizer):
    """A penalty of a ``strength`` on hidden activations, which refuses models that have none."""

    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}
    presupposes_layers: ClassVar[bool] = True

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse models without hidden layers."""
        if run.effective_model.hidden_layers(run.dataset.shape):
            return ()
        message = (
            f"{getattr(self, 'kind', '')!r} needs a hidden layer, and the model {run.model.kind!r} has none; "
            "use 'mlp', or leave the part out."
        )
        return [Objection(field=None, message=message)]


def mean_of_rows(a: Tensor) -> Tensor:
    """Return the mean over the rows of ``a`` (K, N, H), (K, H)."""
    return summed(a.transpose(1, 2)).squeeze(2) / a.shape[1]
