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


def _mnist(rows: int, epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of the source's networks on MNIST; soft targets at its temperature weigh as much as labels."""
    dataset = {"kind": "mnist", "train_size": rows}
    recipe = {
        "optimizer": {"kind": "momentum", "lr": 0.05, "momentum": 0.9},
        "schedule": {"kind": "cosine"},
        "batch_size": 128,
        "epochs": epochs,
    }
    teacher = {
        "dataset": dataset,
        "model": {"kind": "mlp", "hidden": [1200, 1200]},
        "regularizers": [{"kind": "dropout", "p": 0.5, "input_p": 0.2}, {"kind": "max_norm", "limit": 2.0}],
        **recipe,
        "seed": 1000,
    }
    soft = {"kind": "distillation", "teachers": [{"spec": teacher}], "temperature": 20, "alpha": 0.5, "beta": 200}
    return {
        "base": {"dataset": dataset, "model": {"kind": "mlp", "hidden": [800, 800]}, **recipe},
        "arms": {"labels": {}, "soft targets": {"regularizers": [soft]}},
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
        "The source's teacher and students have two hidden layers of 1,200 and 800 units, and learn all 60,000 digits "
        "of MNIST, the teacher with shifts. Full has these layers, 20,000 rows and no shifts. Quick has a teacher with "
        "two layers of 256 units and students with one of 16, on MNIST-1D. A student without a class is not tested."
    ),
    studies={"quick": {"students": _study(25, 8)}, "full": {"students": _mnist(20_000, 30, 8)}},
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
