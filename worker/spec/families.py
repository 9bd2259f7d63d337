"""The six families of parts, and what the engine asks of each.

A hook is a static method on the part's class that works on a whole stack: its first argument is the part as
``Stacked``, its tensors carry the leading dimension K. The engine calls a hook only where a part defines it.
Tensors are named as in mathematics: x (K, N, D) inputs, a (K, N, H) activations, w (K, out, in) weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from pydantic import Field, model_validator

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

    def normal(self, name: str, width: int) -> Tensor:
        """``width`` standard normal numbers for each row, shape (K, N, width)."""

    def beta(self, name: str, shapes: Sequence[float]) -> Tensor:
        """One number from Beta(a, a) for each row, shape (K, N); ``shapes`` holds each run's a."""

    def inner(self, name: str) -> Draws:
        """Draws of a part inside this one, from streams of their own."""


def hook(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a family's method as one that a part may leave out."""
    method.__dict__["is_unused_hook"] = True
    return method


def defines(part: type[Part], name: str) -> bool:
    """Whether this part brings a hook of its own."""
    return not getattr(getattr(part, name), "is_unused_hook", False)


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
    """Something that keeps a model from learning its training set by heart.

    A batch meets the hooks in this order: ``moves`` and ``image`` (list order), ``mix``, ``inputs``, ``act`` in each
    hidden layer, ``smooth``; then the gradient meets ``grad_of_activations`` on the way back and ``grad``, and the
    weights, after the optimizer's step, ``prox``.
    """

    neutral: ClassVar[Mapping[str, float] | None] = None
    """Values of PerRun fields with which the part is bitwise the same as its absence; None where there are none."""
    ordered: ClassVar[bool] = False
    """Whether the part's place among the other ordered ones changes the result (image operations)."""

    active: Active | None = Field(default=None, description="The epochs in which the part works; null is all of them.")

    def is_active(self, epoch: int) -> bool:
        """Whether the part works in ``epoch``."""
        if self.active is None:
            return True
        return self.active.from_epoch <= epoch <= (self.active.until_epoch or epoch)

    def structure(self) -> dict[str, Any]:
        """The fields that must be equal in a stack; where the part has neutral values, its epochs are none of them."""
        structure = super().structure()
        if self.neutral is not None and not self.ordered:
            del structure["active"]
        return structure

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

    @staticmethod
    @hook
    def image(part: Stacked[Any], x: Tensor, draws: Draws, white: float) -> Tensor:
        """Changed images: ``x`` (K, N, H, W) holds raw values from 0 to ``white`` and may be overwritten."""
        raise NotImplementedError

    @staticmethod
    @hook
    def mix(part: Stacked[Any], x: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Mix the rows of a batch: inputs (K, N, *row) and targets (K, N, classes), each row of which sums to 1."""
        raise NotImplementedError

    @staticmethod
    @hook
    def inputs(part: Stacked[Any], x: Tensor, draws: Draws) -> None:
        """Change the model's inputs ``x`` (K, N, D) in place, in training mode."""
        raise NotImplementedError

    @staticmethod
    @hook
    def act(part: Stacked[Any], a: Tensor, draws: Draws, layer: int) -> Tensor:
        """Change a hidden layer's activations ``a`` (K, N, H) in place, in training mode.

        Returns the factor, shape (K, N, H), by which the gradient is multiplied on the way back.
        """
        raise NotImplementedError

    @staticmethod
    @hook
    def scale(part: Stacked[Any], a: Tensor, layer: int) -> None:
        """Change activations (K, N, H) in place in evaluation mode; layer −1 is the input."""
        raise NotImplementedError

    @staticmethod
    @hook
    def smooth(part: Stacked[Any], targets: Tensor) -> None:
        """Change the targets (K, N, classes) of the gradient in place; the recorded data loss keeps the true ones."""
        raise NotImplementedError

    @staticmethod
    @hook
    def penalty_of_outputs(part: Stacked[Any], log_p: Tensor, y: Tensor) -> Tensor:
        """What ``smooth`` adds to the objective, for each row: ``log_p`` (K, N, classes), labels y (K, N) → (K, N)."""
        raise NotImplementedError

    @staticmethod
    @hook
    def penalty_of_activations(part: Stacked[Any], a: Tensor) -> Tensor:
        """What this part adds to the objective for each unit of a hidden layer: ``a`` (K, N, H) → (K, H)."""
        raise NotImplementedError

    @staticmethod
    @hook
    def grad_of_activations(part: Stacked[Any], a: Tensor) -> Tensor:
        """The gradient of that at each activation, the same for all rows: (K, 1, H)."""
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
        """Proximal step or projection of ``w`` (K, out, in), in place, after the optimizer's; ``lr`` is (K, 1, 1)."""
        raise NotImplementedError


HOOKS = tuple(name for name, value in vars(Regularizer).items() if isinstance(value, staticmethod))
"""The names of all hooks."""


def penalises(part: Regularizer) -> bool:
    """Whether the part adds a term to the objective."""
    return any(defines(type(part), name) for name in HOOKS if name.startswith("penalty"))


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


class Step(NamedTuple):
    """What an optimizer works on. Every tensor is a matrix (K, P): a run's parameters in a row."""

    w: Tensor
    """The parameters, changed in place."""
    g: Tensor
    """Their gradient; may be overwritten."""
    lr: Tensor
    """Learning rate of each run, schedule included, (K, 1)."""
    state: Mapping[str, Tensor]
    """What the optimizer keeps between steps, by the names in ``Optimizer.state``."""
    t: int
    """Number of the step, from 1."""
    matrices: Callable[[Tensor], Sequence[Tensor]]
    """The weight matrices, views (K, out, in), of any tensor (K, P)."""


class Optimizer(Part):
    """How a gradient changes the weights."""

    state: ClassVar[tuple[str, ...]] = ()
    """Names of the (K, P) tensors that the optimizer keeps between steps; they start at zero."""
    multiplies: ClassVar[bool] = False
    """Whether a step multiplies matrices: then its shapes are probed with the model's."""

    @property
    def rate(self) -> float:
        """The learning rate before the schedule; 1 for an optimizer that has none."""
        return 1.0

    @staticmethod
    def update(part: Stacked[Any], step: Step) -> None:
        """Take a step in place."""
        raise NotImplementedError


def learning_rate(usual: float) -> Any:
    """The field ``lr`` of an optimizer, with a value that usually works as its example."""
    return Field(gt=0, le=1e9, examples=[usual], description="Learning rate η, before the schedule.")


class RatedOptimizer(Optimizer):
    """An optimizer with a learning rate."""

    lr: PerRun[float] = learning_rate(0.1)

    @property
    def rate(self) -> float:
        """``lr``."""
        return self.lr


class Acted(NamedTuple):
    """What was done to a hidden layer's activations, for the way back."""

    factor: Tensor | None = None
    """By what the gradient is multiplied, (K, N, H)."""
    added: Tensor | None = None
    """What is added to the gradient at the activations as they were before, (K, 1, H)."""


class Hidden(Protocol):
    """What happens to activations between a model's layers."""

    training: bool
    keeps: bool
    """Whether the way back needs the activations as they were before."""

    def __call__(self, a: Tensor, layer: int) -> Acted:
        """Change the activations ``a`` (K, N, H) of hidden ``layer`` in place."""


class Network(Protocol):
    """A model's computation for the K runs of a stack."""

    def forward(self, x: Tensor, hidden: Hidden) -> Tensor:
        """Logits (K, N, classes) of ``x`` (K, N, D); ``hidden`` is called on each hidden layer's activations."""

    def backward(self, g: Tensor) -> None:
        """Write the gradients of the last ``forward``, given the loss's gradient ``g`` at the logits."""


Precision = Literal["float32", "bfloat16"]


class Material(NamedTuple):
    """What a network is made from."""

    parameters: Mapping[str, Tensor]
    """By name, each (K, *shape)."""
    gradients: Mapping[str, Tensor]
    """Where ``backward`` writes; the same shapes."""
    buffers: Mapping[str, Tensor]
    """What a model keeps besides its parameters, such as running means; each (K, *shape)."""
    shape: tuple[int, ...]
    """Of a row of the dataset."""
    precision: Precision = "float32"
    """Of the products; parameters and sums are float32."""


class Start(NamedTuple):
    """How a parameter begins: uniform in ±scale, normal with standard deviation scale, or constant."""

    distribution: Literal["uniform", "normal", "constant"]
    scale: float


class Model(Part):
    """A function from a row of the dataset to one logit for each class."""

    @property
    def hidden_layers(self) -> int:
        """How many layers of hidden units regularizers can work on."""
        return 0

    def parameters(self, shape: tuple[int, ...], classes: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, in order; names as in ``torch.nn``. Needs no torch."""
        raise NotImplementedError

    def buffers(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Name and shape of what is kept but not learned."""
        return {}

    def start(self, name: str, shape: tuple[int, ...], fan_in: int) -> Start:
        """How the parameter or buffer ``name`` begins; a bias has the ``fan_in`` of its weight."""
        return Start("uniform", fan_in**-0.5)

    def flops(self, shape: tuple[int, ...], classes: int) -> int:
        """Floating-point operations of one row's forward pass; for dense layers two for each weight."""
        return 2 * sum(math.prod(size) for size in self.parameters(shape, classes).values())

    @staticmethod
    def network(part: Stacked[Any], material: Material) -> Network:
        """The computation on ``material.parameters``, writing into its gradients."""
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


SURE = 0.85
"""The share of an even class that a random split has for certain; an imbalanced training set asks for no more."""


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
    label_noise: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the training labels that are replaced by another class at random.",
    )
    imbalance: float = Field(
        default=1.0, ge=1, le=1000, description="How many times as many training rows the first class has as the last."
    )

    @property
    def class_rows(self) -> list[int] | None:
        """Training rows of each class, falling geometrically from the first on; None where nobody asks for it."""
        if self.imbalance == 1.0:
            return None
        last = max(len(self.classes) - 1, 1)
        shares = [self.imbalance ** (-c / last) for c in range(len(self.classes))]
        left = SURE * (self.rows[0] - self.validation_size)
        rows = left * sum(shares) / len(shares) if self.train_size is None else self.train_size
        ends = [round(rows * sum(shares[: c + 1]) / sum(shares)) for c in range(len(shares))]
        return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]

    @property
    def training_rows(self) -> int:
        """How many rows a run trains on."""
        if (wanted := self.class_rows) is not None:
            return sum(wanted)
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
        if self.train_size is not None and self.imbalance > 1 and (wanted := self.class_rows) is not None:
            most = int(SURE * left / len(self.classes))
            if wanted[0] > most:
                largest = int(self.train_size * most / wanted[0])
                return [
                    Objection(
                        field="train_size",
                        message=f"With imbalance {self.imbalance:g}, {self.train_size} rows need {wanted[0]} of the "
                        f"first class, and only about {most} are sure to be there; at most {largest} rows work.",
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
