"""Decoupled weight decay generalizes better than an L2 penalty in Adam."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction


def _study(train_size: int, epochs: int, replicates: int) -> dict[str, Any]:
    """Return the study of a network that learns digits, a fifth of whose training labels are wrong, with Adam."""
    return {
        "base": {
            "dataset": {"kind": "digits", "train_size": train_size, "validation_size": 200, "label_noise": 0.2},
            "model": {"kind": "mlp", "hidden": [128]},
            "optimizer": {"kind": "adam", "lr": 0.003},
            "schedule": {"kind": "cosine"},
            "epochs": epochs,
            "batch_size": 32,
        },
        "arms": {
            "plain": {},
            "penalty": {"regularizers": [{"kind": "l2", "strength": 0.005}]},
            "decoupled": {"optimizer": {"kind": "adamw", "lr": 0.003, "weight_decay": 0.5}},
        },
        "replicates": {"n": replicates, "vary": ["seed", "split"]},
        "metric": "test.error",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Decoupled weight decay",
    question="Is weight decay beside Adam's step better than an L2 penalty inside it?",
    source=Source(
        authors="Ilya Loshchilov and Frank Hutter",
        year=2019,
        title="Decoupled weight decay regularization",
        venue="International Conference on Learning Representations",
        url="https://openreview.net/forum?id=Bkg6RiCqY7",
    ),
    deviations=(
        "The source trains residual networks on CIFAR-10 and ImageNet32 and searches a grid of rates and decays. Here "
        "a network with one hidden layer learns scanned digits, a fifth of whose training labels are wrong, and the "
        "strengths are guesses: 0.005 for the penalty, 0.5 for the decay, at a rate of 0.003."
    ),
    studies={"quick": {"decay": _study(300, 40, 8)}, "full": {"decay": _study(1000, 150, 32)}},
    claims={
        "generalizes": Claim(
            statement="The test error is lower with decoupled weight decay than with an L2 penalty.",
            expected="about 15 % lower, relatively",
            place="introduction",
            rule=Direction(study="decay", arm="decoupled", against="penalty", direction="lower"),
        ),
        "helps": Claim(
            statement="The test error is lower with decoupled weight decay than without any.",
            expected="lower",
            place="experiments",
            rule=Direction(study="decay", arm="decoupled", against="plain", direction="lower"),
        ),
    },
)
