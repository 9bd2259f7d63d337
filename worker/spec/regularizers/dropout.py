"""Dropout: leave units out at random, so that no unit can rely on another.

    inverted    training ã = a ⊙ m / (1 − p)      evaluation ã = a
    classic     training ã = a ⊙ m                evaluation ã = (1 − p)·a           m ~ Bernoulli(1 − p)

p is the probability of being left out; many texts name the probability of being kept. ``input_p`` does the same to the
inputs. The two forms are the same network with weights of another scale: behind a layer of dropout, the classic form's
weights are 1/(1 − p) times the inverted form's.

Reference: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: a simple way to prevent neural
networks from overfitting" (the classic form; the inverted one is its section 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Objection, PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value
    from worker.spec.run import RunSpec


class Dropout(Regularizer):
    """Set each hidden activation to zero with probability p, after its nonlinearity."""

    equation: ClassVar[str] = "ã = a ⊙ m / (1 − p),  m ~ Bernoulli(1 − p)"
    reference: ClassVar[str] = (
        "Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting"
    )
    neutral: ClassVar[dict[str, float]] = {"p": 0.0, "input_p": 0.0}
    presupposes_layers: ClassVar[bool] = True

    kind: Literal["dropout"] = "dropout"
    p: PerRun[float] = Field(default=0.5, ge=0, le=0.99, description="Probability of being left out, in steps of 2⁻¹⁶.")
    input_p: PerRun[float] = Field(default=0.0, ge=0, le=0.99, description="The same for the inputs.")
    form: Literal["inverted", "classic"] = Field(
        default="inverted", description="Rescale while training (inverted), or at evaluation (classic)."
    )

    @property
    def changes_evaluation(self) -> bool:
        """The classic form does."""
        return self.form == "classic"

    @property
    def computes_with_inputs(self) -> bool:
        """Whether inputs are dropped."""
        return self.input_p > 0

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse a model without hidden layers, where nothing would be dropped, and the classic form at times only."""
        if not run.effective_model.hidden_layers(run.dataset.shape) and (self.p or not self.input_p):
            message = (
                f"The model {run.model.kind!r} has no hidden layer of dense units before its outputs to drop units of; "
                "use 'mlp', add a layer of kind 'dropout' to a 'sequential' model, leave the regularizer out, or set "
                "p to 0 and input_p above 0."
            )
            return [Objection(field=None, message=message)]
        if self.form == "classic" and self.active is not None:
            message = "The classic form scales at evaluation, so it must be active in all epochs; use form 'inverted'."
            return [Objection(field="active", message=message)]
        return []

    @staticmethod
    def inputs(part: Stacked[Dropout], x: Tensor, rng: Rng) -> None:
        """Drop inputs of ``x`` (K, N, D) in place."""
        if any(dropout.input_p for dropout in part.parts):
            x.mul_(_factor(part, "input_p", rng.int16("inputs", x.shape[-1]), x))

    @staticmethod
    def act(part: Stacked[Dropout], a: Tensor, rng: Rng, layer: int) -> Tensor:
        """Drop units of ``a`` (K, N, H) in place; returns the gradient's factor."""
        factor = _factor(part, "p", rng.int16(f"layer{layer}", a.shape[-1]), a)
        a.mul_(factor)
        return factor

    @staticmethod
    def scale(part: Stacked[Dropout], a: Tensor, layer: int) -> None:
        """The classic form's scaling at evaluation."""
        if part.form == "classic":
            a.mul_(1 - _stepped(part, "input_p" if layer < 0 else "p"))

    def onnx_scale(self, graph: Graph, a: Value, layer: int) -> Value:
        """The same of one run."""
        p = round((self.input_p if layer < 0 else self.p) * 65536) / 65536
        return a if self.form == "inverted" or not p else graph.node("Mul", a, graph.number(1 - p))


def _stepped(part: Stacked[Dropout], name: str) -> Tensor:
    """The probability in steps of 2⁻¹⁶, (K, 1, 1)."""
    return (part.column(name, 3) * 65536).round() / 65536


def _factor(part: Stacked[Dropout], name: str, drawn: Tensor, a: Tensor) -> Tensor:
    """By what ``a`` is multiplied: 0, or 1 / (1 − p) (inverted), or 1 (classic)."""
    p = _stepped(part, name)
    mask = (drawn >= p * 65536 - 32768).to(a.dtype)
    return mask if part.form == "classic" else mask.mul_(1 / (1 - p))
