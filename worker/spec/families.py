"""The six families of parts, and what the engine asks of each.

A hook is a static method on the part's class that works on a whole stack: its first argument is the part as
``Stacked``, its tensors carry the leading dimension K. The engine calls a hook only where a part defines it.
Tensors are named as in mathematics: x (K, N, D) inputs, a (K, N, H) activations, w (K, out, in) weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from pydantic import Field

from worker.spec.part import Objection, Part, PerRun, Spec, Stacked

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from worker.spec.run import RunSpec


class Draws(Protocol):
    """Random numbers for the rows of the current batch, from streams that belong to one part of each run.

    They depend on the run's seed, the part, the epoch, the row's position in the epoch and the name only: never on
    the stack, the batch size or the threads.
    """

    def uniform(self, name: str = "") -> Tensor:
        """One number in [0, 1) for each row, shape (K, N), in steps of 2⁻²⁴."""

    def int16(self, name: str, width: int) -> Tensor:
        """``width`` numbers for each row, uniform over all int16 values, shape (K, N, width)."""


def hook(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a family's method as one that a part may leave out."""
    method.__dict__["is_unused_hook"] = True
    return method


def defines(part: type[Part], name: str) -> bool:
    """Whether this part brings a hook of its own."""
    return not getattr(getattr(part, name), "is_unused_hook", False)


class Regularizer(Part):
    """Something that keeps a model from learning its training set by heart."""

    neutral: ClassVar[Mapping[str, float] | None] = None
    """Values of PerRun fields with which the part is bitwise the same as its absence; None where there are none."""
    ordered: ClassVar[bool] = False
    """Whether the part's place among the other ordered ones changes the result (image operations)."""

    @staticmethod
    @hook
    def act(part: Stacked[Any], a: Tensor, draws: Draws, layer: int) -> Tensor:
        """Change a hidden layer's activations ``a`` (K, N, H) in place, in training mode.

        Returns the factor, shape (K, N, H), by which the gradient is multiplied on the way back.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def penalty(part: Stacked[Any], w: Tensor) -> Tensor:
        """What this part adds to the objective for each weight of ``w`` (K, out, in); same shape."""
        raise NotImplementedError

    @staticmethod
    @hook
    def grad(part: Stacked[Any], w: Tensor, g: Tensor) -> None:
        """Add the penalty's gradient to ``g``, the gradient of the weights ``w``, both (K, out, in), in place."""
        raise NotImplementedError

    @staticmethod
    @hook
    def prox(part: Stacked[Any], w: Tensor, lr: Tensor) -> None:
        """Proximal step on ``w`` (K, out, in), in place, after the optimizer's; ``lr`` has shape (K, 1, 1)."""
        raise NotImplementedError

    @staticmethod
    @hook
    def moves(part: Stacked[Any], height: int, width: int) -> Tensor:
        """Every way in which this part can move an image's pixels: index maps, shape (A, height·width + 1), int64.

        Map a says that pixel i of the result is pixel ``moves[a, i]`` of the source; height·width is the blank
        pixel (raw value 0), which is always its own source.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def choose(part: Stacked[Any], draws: Draws, count: int) -> Tensor:
        """Which of the ``count`` maps of ``moves`` each row takes: shape (K, N), int64."""
        raise NotImplementedError


class ImageOperation(Regularizer):
    """A regularizer that changes images: it refuses data that are none."""

    ordered: ClassVar[bool] = True

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a dataset whose rows are not images."""
        if len(run.dataset.shape) >= 2:
            return ()
        return [
            Objection(
                field=None,
                message=f"{getattr(self, 'kind', '')!r} works on images, but a row of {run.dataset.kind!r} has shape "
                f"{list(run.dataset.shape)}; leave it out or choose a dataset of images.",
            )
        ]


class Optimizer(Part):
    """How a gradient changes the weights. All tensors are matrices (K, P): a run's parameters in a row."""

    state: ClassVar[tuple[str, ...]] = ()
    """Names of the (K, P) tensors that the optimizer keeps between steps; they start at zero."""

    lr: PerRun[float] = Field(gt=0, le=1e9, examples=[0.1], description="Learning rate η, before the schedule.")

    @staticmethod
    def update(part: Stacked[Any], w: Tensor, g: Tensor, lr: Tensor, state: Mapping[str, Tensor], t: int) -> None:
        """Take step number ``t`` (from 1) in place; ``g`` may be overwritten. ``lr`` (K, 1) includes the schedule."""
        raise NotImplementedError


class Network(Protocol):
    """A model's computation for the K runs of a stack."""

    def forward(self, x: Tensor, act: Callable[[Tensor, int], Tensor | None] | None = None) -> Tensor:
        """Logits (K, N, classes) of ``x`` (K, N, D). ``act`` is called on each hidden layer when training."""

    def backward(self, g: Tensor) -> None:
        """Write the gradients of the last ``forward``, given the loss's gradient ``g`` at the logits."""


class Model(Part):
    """A function from a row of the dataset to one logit for each class."""

    @property
    def hidden_layers(self) -> int:
        """How many layers lie between input and logits."""
        return 0

    def parameters(self, shape: tuple[int, ...], classes: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, in order; names as in ``torch.nn``. Needs no torch."""
        raise NotImplementedError

    def flops(self, shape: tuple[int, ...], classes: int) -> int:
        """Floating-point operations of one row's forward pass; for dense layers two for each weight."""
        return 2 * sum(math.prod(size) for size in self.parameters(shape, classes).values())

    @staticmethod
    def network(part: Stacked[Any], parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> Network:
        """The computation on ``parameters``, each (K, *shape), writing into ``gradients`` of the same shapes."""
        raise NotImplementedError


class Normalize(Spec):
    """Inputs are shifted and scaled: (x − mean) / std, after images were scaled to [0, 1]."""

    mean: float
    std: float = Field(gt=0)


class Arrays(NamedTuple):
    """A dataset in memory. Images are uint8 (N, H, W); other rows are float32 (N, D). Labels are int64 (N,)."""

    train_x: np.ndarray[Any, Any]
    train_y: np.ndarray[Any, Any]
    test_x: np.ndarray[Any, Any]
    test_y: np.ndarray[Any, Any]


class Dataset(Part):
    """Rows and labels. ``split_seed`` alone decides which rows validate, so all seeds of a study share the split."""

    shape: ClassVar[tuple[int, ...]]
    """Shape of a row: (H, W) for images, (D,) otherwise."""
    classes: ClassVar[tuple[str, ...]]
    rows: ClassVar[tuple[int, int]]
    """Rows of the training part (validation included) and of the test part."""
    white: ClassVar[float] = 1.0
    """The raw value that becomes 1.0: 255 for 8-bit images."""

    train_size: int | None = Field(default=None, ge=1, description="Rows to train on; null takes all that are left.")
    validation_size: int = Field(default=0, ge=0, description="Rows held out of the training part for validation.")
    split_seed: int = Field(default=0, ge=0, le=2**53 - 1, description="Decides which rows train and which validate.")
    normalize: Normalize | None = Field(
        default=None, description="Shift and scale; null keeps the dataset's own scale."
    )

    @property
    def training_rows(self) -> int:
        """How many rows a run trains on."""
        return self.train_size if self.train_size is not None else self.rows[0] - self.validation_size

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a split that needs more rows than there are."""
        left = self.rows[0] - self.validation_size
        if left < 1:
            return [
                Objection(
                    field="validation_size",
                    message=f"{self.validation_size} rows for validation leave none of the {self.rows[0]} to train on.",
                )
            ]
        if self.train_size is not None and self.train_size > left:
            return [
                Objection(
                    field="train_size",
                    message=f"{self.train_size} rows to train on and {self.validation_size} to validate are more than "
                    f"the {self.rows[0]} there are; at most {left} are left to train on.",
                )
            ]
        return ()

    @classmethod
    def digest(cls) -> str:
        """``sha256:…`` of the data's content, or of the recipe that makes them."""
        raise NotImplementedError

    @classmethod
    def missing(cls, home: Path) -> str | None:
        """None when the data can be read; else what is missing and the command that gets it."""
        return None

    @classmethod
    def fetch(cls, home: Path, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Bring the data into ``home``. ``progress`` is told (file, bytes so far, bytes in all)."""

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """The data, all of them, in the order of the source.

        Raises:
            FileNotFoundError: they are not there; ``missing`` says what to do.
        """
        raise NotImplementedError


class Schedule(Part):
    """The learning rate over the epochs, as a factor on the optimizer's ``lr``."""

    def factor(self, epoch: int, epochs: int) -> float:
        """The factor in ``epoch``, counted from 1 to ``epochs``."""
        raise NotImplementedError


class Stop(Part):
    """A rule that ends a run early: a pure function of the recorded history, so a resumed run decides the same."""

    def stopped(self, history: Mapping[str, Sequence[float | None]]) -> bool:
        """Whether the run ends after the last epoch of ``history``, series by name, from epoch 1."""
        return False

    def step_limit(self) -> int | None:
        """After how many optimizer steps the run ends, inside an epoch if need be; None where there is no limit."""
        return None
