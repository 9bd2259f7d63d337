"""A student with a teacher's soft targets beats one that learns from labels alone."""

from __future__ import annotations

from typing import Any

from service.catalog.presets import preset
from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction

_RUNS = preset("distillation").runs


def _study(epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of small networks, of which one arm has a large teacher."""
    plain = {name: value for name, value in _RUNS["plain"].items() if name != "name"}
    return {
        "base": {**plain, "epochs": epochs},
        "arms": {"labels": {}, "soft targets": {"regularizers": _RUNS["soft targets"]["regularizers"]}},
        "seeds": seeds,
        "metric": "test.error",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Distilling the knowledge in a neural network",
    question="Does a small network learn more from a large one than from the labels alone?",
    source=Source(
        authors="Geoffrey Hinton, Oriol Vinyals and Jeff Dean",
        year=2015,
        title="Distilling the knowledge in a neural network",
        venue="NIPS Deep Learning and Representation Learning Workshop",
        url="https://arxiv.org/abs/1503.02531",
    ),
    deviations=(
        "The source's teacher and students have two hidden layers of 1,200 and 800 units and learn MNIST with shifts. "
        "Here the teacher has two layers of 256 units with dropout, the students one of 16, and they learn MNIST-1D. "
        "A student without a class of digits is not tested."
    ),
    studies={"quick": {"students": _study(25, 8)}, "full": {"students": _study(60, 32)}},
    claims={
        "soft_targets_help": Claim(
            statement="The test error of a student with soft targets is lower than of one with labels alone.",
            expected="lower: 146 errors become 74 on MNIST",
            place="section 3",
            rule=Direction(study="students", arm="soft targets", against="labels", direction="lower"),
        ),
        "loss": Claim(
            statement="The test loss of the student with soft targets is lower, too.",
            expected="lower",
            place="section 3",
            rule=Direction(
                study="students", arm="soft targets", against="labels", metric="test.loss", at="last", direction="lower"
            ),
        ),
    },
)
