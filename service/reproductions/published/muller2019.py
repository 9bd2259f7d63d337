"""Label smoothing calibrates a network, and makes it a worse teacher."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction

_SMOOTHING = {"kind": "label_smoothing", "amount": 0.1}


def _network(hidden: list[int], epochs: int) -> dict[str, Any]:
    return {
        "dataset": {"kind": "mnist1d"},
        "model": {"kind": "mlp", "hidden": hidden},
        "optimizer": {"kind": "adam", "lr": 0.002},
        "epochs": epochs,
    }


def _calibration(epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of a network with and without smoothing."""
    arms = {"plain": {}, "smoothed": {"regularizers": [_SMOOTHING]}}
    return {"base": _network([128], epochs), "arms": arms, "seeds": seeds, "metric": "test.ece", "at": "last"}


def _teaching(epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of small networks, each taught by a large one that was trained with or without smoothing."""

    def taught(regularizers: list[dict[str, Any]]) -> dict[str, Any]:
        teacher = {**_network([256], epochs), "regularizers": regularizers, "seed": 1000}
        return {
            "regularizers": [
                {"kind": "distillation", "teachers": [{"spec": teacher}], "alpha": 0.1, "beta": 14.4, "temperature": 4}
            ]
        }

    arms = {"plain teacher": taught([]), "smoothed teacher": taught([_SMOOTHING])}
    return {"base": _network([16], epochs), "arms": arms, "seeds": seeds, "metric": "test.error", "at": "last"}


REPRODUCTION = Reproduction(
    title="When label smoothing helps",
    question="Does label smoothing calibrate a network, and does it make a network a worse teacher?",
    source=Source(
        authors="Rafael Müller, Simon Kornblith and Geoffrey Hinton",
        year=2019,
        title="When does label smoothing help?",
        venue="Advances in Neural Information Processing Systems 32",
        url="https://papers.nips.cc/paper/2019/hash/f1748d6b0fd9d439f71450117eba2725-Abstract.html",
    ),
    deviations=(
        "The source trains large networks on images and translation. Here networks with one hidden layer learn "
        "MNIST-1D. Smoothing is 0.1, and students learn at temperature 4, with a tenth of the labels' weight."
    ),
    studies={
        "quick": {"calibration": _calibration(25, 8), "teaching": _teaching(25, 8)},
        "full": {"calibration": _calibration(100, 32), "teaching": _teaching(100, 32)},
    },
    claims={
        "calibrates": Claim(
            statement="The expected calibration error on the test set is lower with label smoothing.",
            expected="lower",
            place="section on implicit model calibration",
            rule=Direction(study="calibration", arm="smoothed", against="plain", direction="lower"),
        ),
        "teaches_worse": Claim(
            statement="A student of a teacher that was trained with label smoothing has a higher test error.",
            expected="higher",
            place="section on knowledge distillation",
            rule=Direction(study="teaching", arm="smoothed teacher", against="plain teacher", direction="higher"),
        ),
    },
)
