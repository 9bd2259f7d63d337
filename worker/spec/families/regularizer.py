"""Regularizers and their hooks, in the order in which they apply to a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from worker.spec.families.hooks import Rng, defines, hook
from worker.spec.part import Part, Spec, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.families.model import Network
    from worker.spec.graph import Graph, Value


class Active(Spec):
    """The epochs in which a regularizer works, both ends included."""

    from_epoch: int = Field(default=1, ge=1, description="The first epoch, from 1.")
    until_epoch: int | None = Field(default=None, ge=1, description="The last epoch; null is the run's last.")

    @model_validator(mode="after")
    def _in_order(self) -> Active:
        if self.until_epoch is not None and self.until_epoch < self.from_epoch:
            raise ValueError(f"until_epoch {self.until_epoch} lies before from_epoch {self.from_epoch}")
        return self


class Regularizer(Part):
    """A part that reduces overfitting.

    Hooks apply in this order. Forward: ``pixel_maps`` and ``image`` (list order), ``mix``, ``inputs``, ``mix_hidden``
    and ``act`` in each hidden layer, ``smooth``. Backward: ``teach`` and ``grad_of_outputs`` at the logits,
    ``grad_of_activations``, ``grad_of_inputs``, ``grad``, ``disturb``. After the optimizer's step: ``prox``. Forward
    and backward of a batch use the weights of ``forward_weights``.
    """

    neutral: ClassVar[Mapping[str, float] | None] = None
    """Values of PerRun fields with which the part is bitwise the same as its absence; None if no such values exist."""
    presupposes_layers: ClassVar[bool] = False
    """Whether objections are about layers of the model, so that they mean nothing while these do not fit."""
    ordered: ClassVar[bool] = False
    """Whether the part's place among the other ordered ones changes the result (image operations)."""

    active: Active | None = Field(default=None, description="The epochs in which the part works; null is all of them.")

    def is_active(self, epoch: int) -> bool:
        """Return whether the part is active in ``epoch``."""
        if self.active is None:
            return True
        return self.active.from_epoch <= epoch <= (self.active.until_epoch or epoch)

    @property
    def is_neutral(self) -> bool:
        """Whether the part has its neutral values."""
        return self.neutral is not None and all(getattr(self, name) == value for name, value in self.neutral.items())

    def in_epoch(self, epoch: int) -> Regularizer:
        """Return the part with its values in ``epoch``; only PerRun fields may differ."""
        return self

    def table_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of tables that the part needs for rows of this shape."""
        return 0

    @property
    def changes_evaluation(self) -> bool:
        """Whether the part also acts in evaluation mode."""
        return defines(type(self), "scale")

    @property
    def computes_with_inputs(self) -> bool:
        """Whether the part changes or mixes the numbers of rows, which must not be tokens."""
        return defines(type(self), "mix") or defines(type(self), "inputs")

    def structure(self) -> dict[str, Any]:
        """Return the fields that must be equal in a stack; ``active`` is one only without neutral values."""
        structure = super().structure()
        if self.neutral is not None and not self.ordered:
            del structure["active"]
        return structure

    @staticmethod
    @hook
    def pixel_maps(part: Stacked[Any], height: int, width: int) -> Tensor:
        """Return the index maps of all pixel moves of this part, shape (A, height·width + 1), int64.

        Pixel i of the result of map a is pixel ``maps[a, i]`` of the source, in every channel. Pixel height·width is
        blank (raw value 0) and always its own source.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def choose_map(part: Stacked[Any], rng: Rng, count: int) -> Tensor:
        """Return the index of each row's map among the ``count`` ones of ``pixel_maps``, shape (K, N), int64."""
        raise NotImplementedError

    @staticmethod
    @hook
    def image(part: Stacked[Any], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Return changed images; ``x`` (K, N, C, H, W) has raw values from 0 to ``white`` and may be overwritten.

        Grey images have one channel. Each image gets one decision for all its channels.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def mix(part: Stacked[Any], x: Tensor, targets: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Mix the rows of a batch: inputs (K, N, *row) and targets (K, N, classes), each row of which sums to 1.

        A row has the shape of the dataset: (H, W) or (C, H, W) for images.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def inputs(part: Stacked[Any], x: Tensor, rng: Rng) -> None:
        """Change the model's inputs ``x`` (K, N, D) in place, in training mode."""
        raise NotImplementedError

    @staticmethod
    @hook
    def mix_hidden(part: Stacked[Any], a: Tensor, rng: Rng, layer: int) -> Callable[[Tensor], Tensor]:
        """Mix the rows of a hidden layer's activations ``a`` (K, N, H) in place, in training mode.

        Returns a function of the gradient at the mixed activations that returns that at the original ones. The part
        mixes the targets in ``mix``.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def act(part: Stacked[Any], a: Tensor, rng: Rng, layer: int) -> Tensor:
        """Change a hidden layer's activations ``a`` (K, N, H) in place, in training mode.

        Returns the factor, shape (K, N, H), by which the gradient is multiplied on the way back.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def scale(part: Stacked[Any], a: Tensor, layer: int) -> None:
        """Change activations (K, N, H) in place in evaluation mode; layer −1 is the input."""
        raise NotImplementedError

    @hook
    def onnx_scale(self, graph: Graph, a: Value, layer: int) -> Value:
        """Add ``scale`` of one run's activations ``a`` (rows, H) to an ONNX graph; needs no torch."""
        raise NotImplementedError

    @staticmethod
    @hook
    def smooth(part: Stacked[Any], targets: Tensor) -> None:
        """Change the targets (K, N, classes) of the gradient in place; the recorded data loss keeps the true ones."""
        raise NotImplementedError

    @staticmethod
    @hook
    def penalty_of_outputs(part: Stacked[Any], log_p: Tensor, y: Tensor) -> Tensor:
        """Return the penalty of each row: ``log_p`` (K, N, classes), labels y (K, N) → (K, N)."""
        raise NotImplementedError

    @staticmethod
    @hook
    def grad_of_outputs(part: Stacked[Any], log_p: Tensor, g: Tensor, rows: int) -> None:
        """Add the gradient of ``penalty_of_outputs`` at the logits, as a mean over ``rows`` rows, to ``g`` in place.

        ``log_p`` are log-probabilities, ``g`` is the gradient of the loss; both (K, N, classes).
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def teach(part: Stacked[Any], z: Tensor, y: Tensor, teacher_logits: Tensor, g: Tensor, rows: int) -> Tensor:
        """Change in place the gradient ``g`` (K, N, classes) at the logits ``z``, of a mean loss over ``rows`` rows.

        Like ``scale_label_gradient`` and ``objective_change``, this is called only for runs whose part is not neutral.
        ``y`` (K, N) are the labels, ``teacher_logits`` (K, N, T, classes) the logits of the part's T ``teachers``.
        Returns this part's loss for each row, (K, N).
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def scale_label_gradient(part: Stacked[Any], g: Tensor) -> None:
        """Scale the gradient ``g`` (K, N, classes) of labeled rows, in place, if the part has a ``transfer`` set.

        For rows of the transfer set, ``teach`` is called with a gradient of zeros and without labels.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def objective_change(part: Stacked[Any], loss: Tensor, taught: Tensor) -> Tensor:
        """Return the change of the objective by ``teach``, (K,), from the means (K,) of the data loss and its own."""
        raise NotImplementedError

    @staticmethod
    @hook
    def penalty_of_activations(part: Stacked[Any], a: Tensor) -> Tensor:
        """Return the penalty of each unit of a hidden layer: ``a`` (K, N, H) → (K, H)."""
        raise NotImplementedError

    @staticmethod
    @hook
    def grad_of_activations(part: Stacked[Any], a: Tensor, rows: int) -> Tensor:
        """Return the gradient of ``penalty_of_activations``: (K, N, H), or (K, 1, H) if it is the same for all rows.

        ``a`` (K, N, H) is part of a batch of ``rows`` rows, over which a mean is taken.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def penalty_of_inputs(part: Stacked[Any], network: Network, rng: Rng, outputs: int) -> Tensor:
        """Return the penalty of each row of the last forward pass of a dense ``network``, (K, N)."""
        raise NotImplementedError

    @staticmethod
    @hook
    def grad_of_inputs(part: Stacked[Any], network: Network, rng: Rng, outputs: int, rows: int) -> None:
        """Add the gradients of ``penalty_of_inputs``, as a mean over ``rows`` rows, to those of ``network``."""
        raise NotImplementedError

    @staticmethod
    @hook
    def penalty(part: Stacked[Any], w: Tensor) -> Tensor:
        """Return the penalty's terms for ``w`` (K, out, in), one for each weight or group of weights: (K, …)."""
        raise NotImplementedError

    @staticmethod
    @hook
    def grad(part: Stacked[Any], w: Tensor, g: Tensor) -> None:
        """Add the penalty's gradient to ``g``, the gradient of the weights ``w``, both (K, out, in), in place."""
        raise NotImplementedError

    @staticmethod
    @hook
    def disturb(part: Stacked[Any], g: Tensor, rng: Rng, name: str, t: int) -> None:
        """Change the gradient ``g`` (K, n) of the parameter ``name`` in place, before step ``t``, counted from 1."""
        raise NotImplementedError

    @staticmethod
    @hook
    def forward_weights(part: Stacked[Any], w: Tensor, rng: Rng, name: str) -> Tensor | None:
        """Change the weights ``w`` (K, out, in) of the parameter ``name`` in place, for one batch only.

        Returns the factor (K, out, in) of their gradient, or None if it is 1.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def prox(part: Stacked[Any], w: Tensor, learning_rate: Tensor) -> None:
        """Apply a proximal step or projection to ``w`` (K, out, in) in place; ``learning_rate`` is (K, 1, 1)."""
        raise NotImplementedError


HOOKS = tuple(name for name, value in vars(Regularizer).items() if isinstance(value, staticmethod))
"""The names of all hooks."""


def adds_penalty(part: Regularizer) -> bool:
    """Return whether the part adds a term to the objective."""
    return any(defines(type(part), name) for name in HOOKS if name.startswith("penalty") or name == "teach")
