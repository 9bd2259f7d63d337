"""The spec of a run, which determines its result."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from worker.spec.averaging import AnyAveraging
from worker.spec.datasets import AnyDataset
from worker.spec.evaluate import Evaluate
from worker.spec.families.dataset import Task
from worker.spec.families.loss import Loss
from worker.spec.families.model import LayerSummary, Model, Precision
from worker.spec.families.optimizer import Optimizer
from worker.spec.families.regularizer import Regularizer
from worker.spec.families.schedule import MAX_EPOCHS
from worker.spec.gradient_clipping import AnyGradientClipping
from worker.spec.losses import AnyLoss
from worker.spec.losses.cross_entropy import CrossEntropy
from worker.spec.losses.squared import Squared
from worker.spec.models import AnyModel
from worker.spec.networks.embedded import with_embedding
from worker.spec.optimizers import AnyOptimizer
from worker.spec.part import Objection, Part, Spec
from worker.spec.patterns import DEVICE
from worker.spec.references import References
from worker.spec.regularizers import AnyRegularizer, complete
from worker.spec.run_objections import training_objections
from worker.spec.schedules import AnySchedule
from worker.spec.schedules.constant import Constant
from worker.spec.stops import AnyStop
from worker.spec.warm_start import WarmStart
from worker.spec.warm_start import objections as warm_start_objections

if TYPE_CHECKING:
    from worker.spec.teachers import Teacher

NATURAL: Mapping[Task, Loss] = {"classification": CrossEntropy(), "regression": Squared()}
"""The default loss of each task."""


class RunSpec(Spec):
    """The spec of a run. Runs with equal specs, data and engine have equal results, bit for bit."""

    dataset: AnyDataset = Field(
        description="The data.",
        examples=[
            {"kind": "digits", "train_size": 200, "validation_size": 300, "split_seed": 1},
            {"kind": "digits", "fold": {"index": 0, "of": 5}, "normalize": {"mean": 0.3, "std": 0.4}},
            {"kind": "penguins", "columns": {"leave_out": ["year"], "number": {"kind": "number", "impute": "median"}}},
        ],
    )
    model: AnyModel = Field(
        description="The model.",
        examples=[
            {"kind": "mlp", "hidden": [128, 128], "init": {"kind": "normal", "std": 0.05}},
            {"kind": "sequential", "layers": [{"kind": "conv2d", "channels": 8}, {"kind": "relu"}]},
        ],
    )
    loss: AnyLoss | None = Field(
        default=None,
        exclude_if=lambda loss: loss is None,  # so that hashes are the same as before losses could be chosen
        description="The loss; null is cross_entropy for classes and squared for numbers.",
        examples=[{"kind": "cross_entropy", "class_weights": "balanced"}],
    )
    regularizers: tuple[AnyRegularizer, ...] = Field(
        default=(),
        max_length=32,
        description="Regularizers; image operations are applied in this order.",
        examples=[
            [{"kind": "dropout", "p": 0.4}, {"kind": "l2", "strength": 0.001, "active": {"from_epoch": 5}}],
            [{"kind": "distillation", "teachers": [{"run_id": "run_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"}], "temperature": 4}],
        ],
    )
    optimizer: AnyOptimizer | None = Field(
        default=None,
        description="The optimizer; every model that is trained needs one.",
        examples=[{"kind": "adamw", "lr": 0.001}],
    )
    gradient_clipping: AnyGradientClipping | None = Field(
        default=None,
        exclude_if=lambda clipping: clipping is None,  # so that hashes are the same as before gradients were clipped
        description="A bound on the gradient of each step; null is none.",
        examples=[{"kind": "norm", "max": 1.0}],
    )
    schedule: AnySchedule = Field(
        default_factory=Constant,
        description="The learning rate over the run.",
        examples=[{"kind": "cosine", "per": "step", "warmup": 1.0}],
    )
    averaging: AnyAveraging | None = Field(
        default=None,
        exclude_if=lambda averaging: averaging is None,  # so that hashes are the same as before weights were averaged
        description="An average of the weights over training, evaluated beside them; null is none.",
        examples=[{"kind": "ema", "decay": 0.99}],
    )
    epochs: int = Field(
        default=10, ge=1, le=MAX_EPOCHS, description="Passes over the training set, at most.", examples=[40]
    )
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["full"] = Field(
        default=64, description="Rows of an optimizer step; full is the whole training set.", examples=[20, "full"]
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**53 - 1,
        description="Seed of all random numbers except the split of the data.",
        examples=[7],
    )
    warm_start: WarmStart | None = Field(
        default=None,
        description="Begin with another run's weights.",
        examples=[
            {"run_id": "run_01JD3Z6K8Q4V5W7X9Y2B4C6D8E", "at": "best"},
            {
                "spec": {
                    "dataset": {"kind": "digits"},
                    "model": {"kind": "mlp"},
                    "optimizer": {"kind": "sgd", "lr": 0.1},
                }
            },
        ],
    )
    stop: tuple[AnyStop, ...] = Field(
        default=(),
        max_length=16,
        description="Any of them ends the run early.",
        examples=[[{"kind": "early_stopping", "metric": "val.loss", "patience": 5}]],
    )
    allow_test_selection: bool = Field(
        default=False, description="Let stop rules and schedules use test metrics.", examples=[True]
    )
    evaluate: Evaluate = Field(
        default_factory=Evaluate,
        description="Measurements after each epoch.",
        examples=[{"train": "full", "test": "last_epoch", "every": 5}],
    )
    device: str = Field(
        default="auto",
        pattern=DEVICE,
        description="Device to train on: cpu, cuda, cuda:N or mps; auto is any.",
        examples=["cpu"],
    )
    precision: Precision = Field(
        default="float32",
        description=(
            "Of what dense layers multiply; parameters and sums are float32 always, but for sums on a GPU. tf32 rounds "
            "the factors of all products to 10 bits on a GPU that can, and is float32 elsewhere."
        ),
        examples=["bfloat16"],
    )

    def at(self, seed: int) -> RunSpec:
        """Return the run with this seed, which also seeds data that are drawn per run."""
        return self.model_copy(update={"seed": seed, "dataset": self.dataset.seeded(seed)})

    @property
    def batch_rows(self) -> int:
        """Rows of a whole batch."""
        rows = self.dataset.training_rows
        return rows if self.batch_size == "full" else min(self.batch_size, rows)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch, including a smaller last batch; 0 if the model is not trained."""
        return -(-self.dataset.training_rows // max(1, self.batch_rows)) if self.model.trains else 0

    @property
    def step_limit(self) -> int | None:
        """The fewest steps that a stop rule allows; None if none limits them."""
        return min((limit for rule in self.stop if (limit := rule.step_limit()) is not None), default=None)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the run, if no metric ends it earlier."""
        steps = self.epochs * self.steps_per_epoch
        return steps if self.step_limit is None else min(steps, self.step_limit)

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        shapes = self.effective_model.parameters(self.dataset.shape, self.dataset.outputs)
        return sum(math.prod(shape) for shape in shapes.values())

    @property
    def layers(self) -> list[LayerSummary]:
        """The layers of the model, with their sizes for rows of the dataset."""
        return self.effective_model.summary(self.dataset.shape, self.dataset.outputs)

    def parts(self) -> Iterator[tuple[tuple[str | int, ...], Part]]:
        """Every part with its place in the spec: ``("regularizers", 0)``, part."""
        yield ("dataset",), self.dataset
        yield ("model",), self.model
        if self.loss is not None:
            yield ("loss",), self.loss
        for i, regularizer in enumerate(self.regularizers):
            yield ("regularizers", i), regularizer
        if self.optimizer is not None:
            yield ("optimizer",), self.optimizer
        if self.gradient_clipping is not None:
            yield ("gradient_clipping",), self.gradient_clipping
        yield ("schedule",), self.schedule
        if self.averaging is not None:
            yield ("averaging",), self.averaging
        for i, stop in enumerate(self.stop):
            yield ("stop", i), stop

    def references(self) -> References:
        """Return the datasets and teachers of all parts, with their places in the spec; those of teachers not."""
        return References.of_all(part.references().within(place) for place, part in self.parts())

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """All teachers of the run."""
        return tuple(self.references().teachers.values())

    def objections(self) -> Iterator[tuple[tuple[str | int, ...], Objection]]:
        """Return the objections of parts to each other, with their places in the spec."""
        fits = self.effective_model.fits(self.dataset.shape, self.dataset.outputs)
        for place, part in self.parts():
            if part.for_classes and self.dataset.task == "regression":
                remedy = "name another one" if place == ("model",) else "leave it out"
                message = f"{part.kind!r} needs classes, and the target of this dataset is a number; {remedy}."
                yield place, Objection(field=None, message=message)
                continue
            if self.dataset.tokens and isinstance(part, Regularizer) and part.computes_with_inputs:
                message = (
                    f"{part.kind!r} computes with the numbers of a row, and rows of {self.dataset.kind!r} are tokens; "
                    "leave it out."
                )
                yield place, Objection(field=None, message=message)
                continue
            if isinstance(part, Regularizer) and part.presupposes_layers and not fits:
                continue
            for steps, objection in part.placed_objections(self):
                yield (*place, *steps), objection
        yield from training_objections(self)
        yield from warm_start_objections(self) if fits and self.model.trains else ()

    @property
    def effective_model(self) -> Model:
        """The model, after the embedding of the dataset's columns if it embeds any."""
        return with_embedding(self.model, self.dataset.embedded)

    @property
    def effective_loss(self) -> Loss:
        """The requested loss, or the default of the task."""
        return self.loss or NATURAL[self.dataset.task]

    @property
    def required_optimizer(self) -> Optimizer:
        """The optimizer of a model that is trained."""
        assert self.optimizer is not None, f"{self.model.kind!r} has no optimizer"
        return self.optimizer

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> RunSpec:
        """Return the spec with these resolved fields, as read from JSON."""
        return cls.model_validate_json(json.dumps(fields))

    def result_fields(self) -> dict[str, Any]:
        """Return the resolved spec without fields that do not change the result, such as the device."""
        fields = self.model_dump(mode="json", exclude={"device": True})
        if self.loss is not None and self.loss == NATURAL[self.dataset.task]:  # the same run, whether named or not
            del fields["loss"]
        if fields["warm_start"] is None:  # so that hashes are the same as before warm starts existed
            del fields["warm_start"]
        elif fields["warm_start"]["sha256"] is not None:  # otherwise the run identifies the weights
            fields["warm_start"] = {"sha256": fields["warm_start"]["sha256"]}
        for teacher in (teacher for part in fields["regularizers"] for teacher in part.get("teachers", ())):
            if teacher["sha256"] is not None:  # otherwise only the run's id identifies the teacher
                del teacher["run_id"], teacher["at"]
        return fields

    @property
    def depends_on_epochs(self) -> bool:
        """Return whether an epoch depends on the number of epochs, so that the run cannot be extended."""
        return self.schedule.spans or self.evaluate.test == "last_epoch" or self.epochs % self.evaluate.every != 0

    def evaluates(self, epoch: int) -> bool:
        """Return whether the model is evaluated after ``epoch``, whatever ends the run there."""
        return epoch % self.evaluate.every == 0 or epoch == self.epochs

    @property
    def evaluations(self) -> int:
        """How often the model is evaluated, if no rule ends the run early."""
        return -(-self.epochs // self.evaluate.every)

    def continues_after(self, epoch: int) -> bool:
        """Return whether a run that ended after ``epoch`` recorded there what a longer one records."""
        return self.evaluate.test != "last_epoch" and epoch % self.evaluate.every == 0


complete(RunSpec=RunSpec)
WarmStart.model_rebuild(force=True, _types_namespace={"RunSpec": RunSpec})
RunSpec.model_rebuild(force=True)
