"""Early stopping: how long to wait for another improvement."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction


def _stopping(hidden: list[int], train_size: int, epochs: int, replicates: int) -> dict[str, Any]:
    """Return the study of a network that overfits, with criteria that stop it sooner or later."""

    def patience(epochs: int) -> dict[str, Any]:
        return {"stop": [{"kind": "early_stopping", "metric": "val.loss", "patience": epochs}]}

    return {
        "base": {
            "dataset": {"kind": "digits", "train_size": train_size, "validation_size": 200, "label_noise": 0.1},
            "model": {"kind": "mlp", "hidden": hidden},
            "optimizer": {"kind": "momentum", "lr": 0.05},
            "epochs": epochs,
            "batch_size": 20,
        },
        "arms": {"to the end": {}, "fast": patience(1), "slow": patience(16)},
        "replicates": {"n": replicates, "vary": ["seed", "split"]},
        "metric": "test.loss",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Automatic early stopping",
    question="Does early stopping improve generalization, and is a slower criterion worth its time?",
    source=Source(
        authors="Lutz Prechelt",
        year=1998,
        title="Automatic early stopping using cross validation: quantifying the criteria",
        venue="Neural Networks 11, pages 761–767",
        url="https://doi.org/10.1016/S0893-6080(98)00010-0",
    ),
    deviations=(
        "The source compares 14 criteria on 12 tasks of Proben1, trained with RPROP. Here one network learns scanned "
        "digits, a tenth of whose training labels are wrong, with momentum, and the criterion is the number of epochs "
        "without a lower validation loss: one (fast) or 16 (slow). Training time is not a claim here."
    ),
    studies={
        "quick": {"stopping": _stopping([64], 200, 60, 8)},
        "full": {"stopping": _stopping([256, 128], 500, 200, 24)},
    },
    claims={
        "stopping_helps": Claim(
            statement="A network that is stopped early has a lower test loss than one that is trained to the end.",
            expected="lower when stopped",
            place="introduction",
            rule=Direction(study="stopping", arm="fast", against="to the end", metric="test.loss", at="last"),
        ),
        "slower_is_better": Claim(
            statement="A slow criterion finds an epoch with a lower test loss than a fast one.",
            expected="about 4 % lower",
            place="abstract: 'small improvements in generalization (in the order of 4%)'",
            rule=Direction(study="stopping", arm="slow", against="fast", metric="test.loss", at="best"),
        ),
    },
)
