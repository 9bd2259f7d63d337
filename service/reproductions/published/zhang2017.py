"""Networks memorize random labels, and regularizers do not prevent it."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Bound, Direction


def _study(noise: float, train_size: int, epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of a large network on digits, a share ``noise`` of whose training labels are wrong."""
    return {
        "base": {
            "dataset": {"kind": "digits", "train_size": train_size, "validation_size": 100, "label_noise": noise},
            "model": {"kind": "mlp", "hidden": [512]},
            "optimizer": {"kind": "momentum", "lr": 0.05},
            "epochs": epochs,
            "batch_size": 32,
            "evaluate": {"train": "full"},
        },
        "arms": {"plain": {}, "decay": {"regularizers": [{"kind": "l2", "strength": 0.0005}]}},
        "seeds": seeds,
        "metric": "train.error_eval",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Understanding deep learning requires rethinking generalization",
    question="Does a network fit labels that say nothing about its inputs, also with weight decay?",
    source=Source(
        authors="Chiyuan Zhang, Samy Bengio, Moritz Hardt, Benjamin Recht and Oriol Vinyals",
        year=2017,
        title="Understanding deep learning requires rethinking generalization",
        venue="International Conference on Learning Representations",
        url="https://openreview.net/forum?id=Sy8gdB9xx",
    ),
    deviations=(
        "The source trains convolutional networks on CIFAR-10 and ImageNet. Here a network of 512 units learns scanned "
        "digits. Nine tenths of its labels are wrong, which makes labels of ten classes random. The L2 "
        "penalty has a strength of 0.0005."
    ),
    studies={
        "quick": {"random": _study(0.9, 200, 120, 8), "right": _study(0.0, 200, 40, 8)},
        "full": {"random": _study(0.9, 1000, 600, 20), "right": _study(0.0, 1000, 100, 20)},
    },
    claims={
        "memorizes": Claim(
            statement="The network fits random labels: less than 1 % of the training rows are wrong in the end.",
            expected="0 % training error",
            place="section on fitting random labels",
            rule=Bound(study="random", arm="plain", direction="lower", bound=0.01),
        ),
        "memorizes_with_decay": Claim(
            statement="With weight decay it fits them, too: less than 5 % of the training rows are wrong.",
            expected="still fitted",
            place="section on the role of regularization",
            rule=Bound(study="random", arm="decay", direction="lower", bound=0.05),
        ),
        "learns_nothing": Claim(
            statement="What it has learned from random labels is worthless: its test error is that of chance.",
            expected="about 90 %",
            place="section on fitting random labels",
            rule=Bound(study="random", arm="plain", metric="test.error", at="last", direction="higher", bound=0.8),
        ),
        "decay_is_not_the_reason": Claim(
            statement="Without weight decay the network generalizes from right labels: its test error is below 20 %.",
            expected="small without regularizers",
            place="section on the role of regularization",
            rule=Bound(study="right", arm="plain", metric="test.error", at="last", direction="lower", bound=0.2),
        ),
        "decay_helps": Claim(
            statement="Weight decay lowers the test error with the right labels.",
            expected="slightly lower",
            place="section on the role of regularization",
            rule=Direction(
                study="right", arm="decay", against="plain", metric="test.error", at="last", direction="lower"
            ),
        ),
    },
)
