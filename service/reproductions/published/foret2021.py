"""Sharpness-aware minimization: flat minima generalize better, and resist wrong labels."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction

_MOMENTUM = {"kind": "momentum", "lr": 0.05}


def _study(noise: float, rho: float, train_size: int, epochs: int, replicates: int) -> dict[str, Any]:
    """Return the study of a network that learns digits, a share ``noise`` of whose training labels are wrong."""
    sam = {"kind": "sam", "optimizer": _MOMENTUM, "rho": rho}
    return {
        "base": {
            "dataset": {"kind": "digits", "train_size": train_size, "validation_size": 200, "label_noise": noise},
            "model": {"kind": "mlp", "hidden": [128]},
            "schedule": {"kind": "cosine"},
            "epochs": epochs,
            "batch_size": 32,
        },
        "arms": {"momentum": {"optimizer": _MOMENTUM}, "sam": {"optimizer": sam}},
        "replicates": {"n": replicates, "vary": ["seed", "split"]},
        "metric": "test.error",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Sharpness-aware minimization",
    question="Does a step by the gradient at the worst point nearby generalize better, also with wrong labels?",
    source=Source(
        authors="Pierre Foret, Ariel Kleiner, Hossein Mobahi and Behnam Neyshabur",
        year=2021,
        title="Sharpness-aware minimization for efficiently improving generalization",
        venue="International Conference on Learning Representations",
        url="https://openreview.net/forum?id=6Tm1mposlrM",
    ),
    deviations=(
        "The source trains residual and other convolutional networks on images, with ρ of 0.05 by default, and gives "
        "the other optimizer twice as many epochs, because a step of SAM takes two gradients. Here a network with one "
        "hidden layer learns scanned digits, both for the same number of epochs, a fifth of the labels wrong in the "
        "second study. ρ is 0.05 with right labels and 0.1 with wrong ones; neither was tuned."
    ),
    studies={
        "quick": {"clean": _study(0.0, 0.05, 300, 40, 8), "noise": _study(0.2, 0.1, 300, 40, 8)},
        "full": {"clean": _study(0.0, 0.05, 1000, 150, 32), "noise": _study(0.2, 0.1, 1000, 150, 32)},
    },
    claims={
        "generalizes": Claim(
            statement="The test error is lower with SAM.",
            expected="lower",
            place="section on image classification from scratch",
            rule=Direction(study="clean", arm="sam", against="momentum", direction="lower"),
        ),
        "robust": Claim(
            statement="Where a fifth of the training labels are wrong, the test error is lower with SAM.",
            expected="lower",
            place="section on robustness to label noise",
            rule=Direction(study="noise", arm="sam", against="momentum", direction="lower"),
        ),
        "memorizes_less": Claim(
            statement="Where a fifth of the training labels are wrong, the training error is higher with SAM.",
            expected="higher: SAM avoids the sharp minima that fit wrong labels",
            place="motivation of the section on robustness to label noise",
            rule=Direction(
                study="noise", arm="sam", against="momentum", metric="train.error_eval", at="last", direction="higher"
            ),
        ),
    },
)
