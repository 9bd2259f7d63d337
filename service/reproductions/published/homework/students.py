"""Distillation: a small student learns from large teachers, in several forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.reproductions.definition import Claim, Scale
from service.reproductions.rules import Direction

STUDY = "distillation"
DATA = {"kind": "mnist1d", "validation_size": 0}
SPECIALTIES = ((0, 1, 2), (3, 4, 5), (6, 7, 8, 9))
"""The classes that each specialist is trained on."""
Spec = dict[str, Any]


def _teacher(seed: int, hidden: list[int], epochs: int) -> Spec:
    return {
        "dataset": DATA,
        "model": {"kind": "mlp", "hidden": hidden},
        "regularizers": [{"kind": "dropout", "p": 0.3}],
        "optimizer": {"kind": "adam", "lr": 0.001},
        "epochs": epochs,
        "seed": seed,
    }


def _distilled(teachers: Sequence[Spec], temperature: float = 4.0, **fields: Any) -> Spec:
    """Return a distillation with a tenth of the weight for labels, if no other weights are set."""
    weights = {"alpha": 0.1, "beta": 0.9 * temperature**2, "temperature": temperature}
    return {"kind": "distillation", "teachers": [{"spec": spec} for spec in teachers], **weights, **fields}


def studies(scale: Scale) -> dict[str, Any]:
    """Return the study of a scale."""
    hidden, teacher_epochs, student_epochs, rows, seeds = (
        ([256, 256], 60, 80, 1000, 16) if scale == "full" else ([128, 128], 20, 40, 500, 8)
    )
    teachers = [_teacher(seed, hidden, teacher_epochs) for seed in (1000, 1001, 1002)]
    specialists = [
        {**_teacher(1004 + i, hidden, teacher_epochs), "dataset": {**DATA, "train_classes": list(classes)}}
        for i, classes in enumerate(SPECIALTIES)
    ]
    assistant = {
        **_teacher(1003, [64], teacher_epochs),
        "regularizers": [_distilled(teachers[:1])],
    }
    epochs = student_epochs * 2 // 3
    forms = {
        "soft targets": _distilled(teachers[:1]),
        "temperature of 1": _distilled(teachers[:1], 1.0),
        "three teachers": _distilled(teachers),
        "assistant": _distilled([assistant]),
        "curriculum": _distilled(teachers[:1], 8.0, beta=3.0, curriculum={"temperature": 1.0, "epochs": epochs}),
        "decoupled": _distilled(teachers[:1], beta=16.0, method="decoupled"),
        "masked": _distilled(teachers[:1], masked=True),
        "transfer set": _distilled(teachers[:1], transfer={"dataset": DATA}),
        "specialists": _distilled(specialists),
        "generalist and specialists": _distilled([teachers[0], *specialists]),
    }
    return {
        STUDY: {
            "base": {
                "dataset": {**DATA, "train_size": rows},
                "model": {"kind": "mlp", "hidden": [16]},
                "optimizer": {"kind": "adam", "lr": 0.005},
                "epochs": student_epochs,
            },
            "arms": {"labels": {}, **{name: {"regularizers": [form]} for name, form in forms.items()}},
            "seeds": seeds,
            "metric": "test.error",
            "at": "last",
        }
    }


def _lower(arm: str, against: str, statement: str, place: str) -> Claim:
    return Claim(
        statement=statement,
        expected="lower test error",
        place=place,
        rule=Direction(study=STUDY, arm=arm, against=against, metric="test.error", at="last"),
    )


CLAIMS = {
    "soft_targets_help": _lower(
        "soft targets", "labels", "A student with soft targets beats one with labels alone.", "distillation, results"
    ),
    "temperature_softens": Claim(
        statement="A temperature of 4 spreads the probabilities to match, so that the loss between them is higher.",
        expected="higher: probabilities at several temperatures are shown",
        place="distillation, temperature",
        rule=Direction(
            study=STUDY,
            arm="soft targets",
            against="temperature of 1",
            metric="distillation.loss",
            at="last",
            direction="higher",
        ),
    ),
    "temperature_helps": _lower(
        "soft targets",
        "temperature of 1",
        "A student at a temperature of 4 beats one at 1.",
        "distillation, temperature",
    ),
    "several_teachers_help": _lower(
        "three teachers",
        "soft targets",
        "A student of three teachers beats a student of one.",
        "distillation, several teachers",
    ),
    "assistant_helps": _lower(
        "assistant",
        "soft targets",
        "A student of an assistant that learned from the teacher beats a student of the teacher.",
        "distillation, teacher assistant",
    ),
    "curriculum_helps": _lower(
        "curriculum",
        "soft targets",
        "A student whose temperature falls from 8 to 1 beats one at a constant temperature.",
        "distillation, curriculum temperature",
    ),
    "decoupled_helps": _lower(
        "decoupled",
        "soft targets",
        "A student with the decoupled loss beats one with soft targets.",
        "distillation, decoupled",
    ),
    "masked_helps": _lower(
        "masked",
        "soft targets",
        "A student that is taught only what its teacher gets right beats one that is taught all rows.",
        "distillation, masked",
    ),
    "transfer_set_helps": _lower(
        "transfer set",
        "soft targets",
        "A student that is taught on more rows, without their labels, beats one that is taught on its own rows.",
        "distillation, unlabelled transfer set",
    ),
    "specialists_help": _lower(
        "specialists",
        "labels",
        "A student of three specialists, each trained on some of the classes only, beats one with labels alone.",
        "distillation, specialists",
    ),
    "specialists_help_a_generalist": _lower(
        "generalist and specialists",
        "soft targets",
        "A student of a teacher of all classes and of three specialists beats a student of that teacher alone.",
        "distillation, specialists",
    ),
}
