"""A student with a teacher's soft targets beats one that learns from labels alone, and recognizes unseen classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.catalog.presets import preset
from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Bound, Direction

_RUNS = preset("distillation").runs
UNSEEN = "omitted classes"
WITHOUT_3 = [0, 1, 2, 4, 5, 6, 7, 8, 9]
Spec = dict[str, Any]


def _study(epochs: int, seeds: int) -> Spec:
    """Return the study of small networks, of which one arm has a large teacher."""
    plain = {name: value for name, value in _RUNS["plain"].items() if name != "name"}
    return {
        "base": {**plain, "epochs": epochs},
        "arms": {"labels": {}, "soft targets": {"regularizers": _RUNS["soft targets"]["regularizers"]}},
        "seeds": seeds,
        "metric": "test.error",
        "at": "last",
    }


def _recipe(epochs: int, batch_size: int) -> Spec:
    return {
        "optimizer": {"kind": "momentum", "lr": 0.05, "momentum": 0.9},
        "schedule": {"kind": "cosine"},
        "batch_size": batch_size,
        "epochs": epochs,
    }


def _teacher(dataset: Mapping[str, Any], hidden: list[int], recipe: Mapping[str, Any]) -> Spec:
    """Return the source's teacher, with layers of these sizes."""
    return {
        "dataset": dict(dataset),
        "model": {"kind": "mlp", "hidden": hidden},
        "regularizers": [{"kind": "dropout", "p": 0.5, "input_p": 0.2}, {"kind": "max_norm", "limit": 2.0}],
        **recipe,
        "seed": 1000,
    }


def _distilled(teacher: Mapping[str, Any], labels: float) -> Spec:
    """Return a distillation at the source's temperature, in which labels have this share of the weight."""
    weights = {"temperature": 20, "alpha": labels, "beta": (1 - labels) * 400}
    return {"kind": "distillation", "teachers": [{"spec": dict(teacher)}], **weights}


def _mnist(rows: int, epochs: int, seeds: int) -> Spec:
    """Return the study of the source's networks on MNIST; soft targets at its temperature weigh as much as labels."""
    dataset = {"kind": "mnist", "train_size": rows}
    recipe = _recipe(epochs, 128)
    soft = _distilled(_teacher(dataset, [1200, 1200], recipe), 0.5)
    return {
        "base": {"dataset": dataset, "model": {"kind": "mlp", "hidden": [800, 800]}, **recipe},
        "arms": {"labels": {}, "soft targets": {"regularizers": [soft]}},
        "seeds": seeds,
        "metric": "test.error",
        "at": "last",
    }


def _unseen(
    dataset: Mapping[str, Any], rows: int | None, teacher: list[int], student: list[int], recipe: Mapping[str, Any]
) -> Spec:
    """Return the study of students without rows of some classes, and of a teacher with ``rows`` rows of all.

    Soft targets are all that a student learns from, because a label says that a row is of no unseen class.
    """
    sized = {} if rows is None else {"train_size": rows}
    soft = _distilled(_teacher({**dataset, **sized}, teacher, recipe), 0.0)
    return {
        "base": {
            "dataset": {**dataset, **sized, "train_classes": WITHOUT_3},
            "model": {"kind": "mlp", "hidden": student},
            **recipe,
        },
        "arms": {
            "labels without 3": {},
            "soft targets without 3": {"regularizers": [soft]},
            "soft targets of 7 and 8": {
                "dataset": {"train_classes": [7, 8], "train_size": None},
                "regularizers": [soft],
            },
        },
        "seeds": 8,
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
        "two layers of 256 units and students with one of 16, on MNIST-1D. Students without some classes learn from "
        "soft targets alone, at quick scanned digits of 8×8 pixels. The source also raises the bias of the class that "
        "the student never saw, and lowers those of the only two that it saw, by what is best for the test rows. Here "
        "no bias is changed, and errors are counted over the test rows of all classes: they can be as few as claimed "
        "only if the unseen classes are recognized."
    ),
    studies={
        "quick": {
            "students": _study(25, 8),
            UNSEEN: _unseen({"kind": "digits", "validation_size": 0}, None, [256, 256], [64, 64], _recipe(30, 64)),
        },
        "full": {
            "students": _mnist(20_000, 30, 8),
            UNSEEN: _unseen({"kind": "mnist"}, 20_000, [1200, 1200], [800, 800], _recipe(30, 128)),
        },
    },
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
        "omitted_class_beats_labels": Claim(
            statement="Without threes to learn from, soft targets give a lower test error than labels.",
            expected="lower",
            place="section 3",
            rule=Direction(study=UNSEEN, arm="soft targets without 3", against="labels without 3", direction="lower"),
        ),
        "omitted_class_is_recognized": Claim(
            statement="A student that never saw a 3 has a test error below 0.1, which it cannot have without "
            "recognizing some: more than a tenth of the test rows are threes.",
            expected="206 errors in 10,000 test rows, 133 of them on 1,010 threes; 109 and 14 with a raised bias",
            place="section 3",
            rule=Bound(study=UNSEEN, arm="soft targets without 3", direction="lower", bound=0.1),
        ),
        "two_classes_teach_the_others": Claim(
            statement="A student that saw only sevens and eights has a test error below 0.75; one that "
            "predicts nothing else has 0.8.",
            expected="0.473; 0.132 after the biases of both were lowered",
            place="section 3",
            rule=Bound(study=UNSEEN, arm="soft targets of 7 and 8", direction="lower", bound=0.75),
        ),
    },
)
