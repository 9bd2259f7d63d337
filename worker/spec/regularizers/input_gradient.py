"""Penalty on the gradient at the inputs: a small change of a row changes its outputs little.

    J = loss + λ/2 · (1/N) · Σ_n ‖∂z_n/∂x_n‖²_F

z_n are the logits of row n, or its prediction of a number. The squared norm of the Jacobian is C times the expected
squared norm of ∂(vᵀ·z)/∂x for random vectors v of length one, C the number of outputs; every row draws one in each
epoch. The penalty of an epoch is estimated likewise, from one vector for each of the first 500 rows.

This is for chains of dense layers. It takes the gradient of a gradient, whose products are exact sums of rounded
numbers.

Reference: Hoffman, Roberts and Yaida, 2019, "Robust learning with Jacobian regularization"; Drucker and LeCun, 1992,
"Improving generalization performance using double backpropagation".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng, defines
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Objection, PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.families.model import InputGradient, Network
    from worker.spec.run import RunSpec


class InputGradientPenalty(Regularizer):
    """Add λ/2 times the mean squared norm of the outputs' Jacobian at the inputs."""

    equation: ClassVar[str] = "J = loss + λ/2 · (1/N) · Σ_n ‖∂z_n/∂x_n‖²_F"
    reference: ClassVar[str] = "Hoffman, Roberts and Yaida 2019, Robust learning with Jacobian regularization"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}
    presupposes_layers: ClassVar[bool] = True

    kind: Literal["input_gradient"] = "input_gradient"
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[0.01], description="λ; 0 is the same as leaving the part out."
    )

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse models with other layers than dense ones, and parts through which no gradient of a row leads."""
        if not run.effective_model.is_dense(run.dataset.shape, run.dataset.outputs):
            if run.dataset.embedded:
                message = (
                    "'input_gradient' needs a chain of dense layers, and embedded columns come before it; prepare "
                    "categories with encode 'one_hot', or leave the part out."
                )
                return [Objection(field=None, message=message)]
            message = (
                f"'input_gradient' needs a chain of dense layers with one nonlinearity between them; the model "
                f"{run.model.kind!r} has others. Use 'mlp' or 'linear', or leave the part out."
            )
            return [Objection(field=None, message=message)]
        for part in run.regularizers:
            if part.changes_evaluation:
                message = f"'input_gradient' does not work with the classic form of {part.kind!r}; use 'inverted'."
                return [Objection(field=None, message=message)]
            if defines(type(part), "mix_hidden"):
                message = f"{part.kind!r} mixes rows, so no row has a gradient of its own; use 'mixup' instead."
                return [Objection(field=None, message=message)]
        return ()

    @staticmethod
    def penalty_of_inputs(part: Stacked[InputGradientPenalty], network: Network, rng: Rng, outputs: int) -> Tensor:
        """λ/2·C·‖∂(vᵀ·z)/∂x‖² of each row, (K, N)."""
        return part.column("strength", 2) / 2 * _gradient(network, rng, outputs).squared_norms()

    @staticmethod
    def grad_of_inputs(
        part: Stacked[InputGradientPenalty], network: Network, rng: Rng, outputs: int, rows: int
    ) -> None:
        """Add the gradients of the penalty's mean."""
        _gradient(network, rng, outputs).add_gradients(part.column("strength", 3) / rows)


def _gradient(network: Network, rng: Rng, outputs: int) -> InputGradient:
    """The gradient of √C·vᵀ·z for each row's own v of length one."""
    v = rng.normal("projection", outputs)
    return network.input_gradient(v * (outputs / summed(v.square())).sqrt())
