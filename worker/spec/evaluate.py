"""Measurements besides the training batches: which rows, and in which epochs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.spec.families.schedule import MAX_EPOCHS
from worker.spec.part import Spec


class Evaluate(Spec):
    """Measurements besides the training batches."""

    train: Literal["subset", "full", "never"] = Field(
        default="subset",
        description="train.loss_eval: on a fixed part of the training set (at most 10,000 rows), all, or not at all.",
    )
    test: Literal["every_epoch", "last_epoch", "never"] = Field(
        default="every_epoch", description="test.*: after each epoch, after the last, or not at all."
    )
    before_training: bool = Field(default=False, description="Measure the untrained model as epoch 0.")
    every: int = Field(
        default=1,
        ge=1,
        le=MAX_EPOCHS,
        exclude_if=lambda every: every == 1,  # so that hashes and keys are the same as before it existed
        description="Evaluate the model after every so many epochs, and after the last; in other epochs, only losses "
        "and scores of training batches are measured.",
    )
