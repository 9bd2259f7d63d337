"""Mixup: mixtures of rows and labels generalize better, and wrong labels are memorized less."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction


def _study(noise: float, alpha: float, train_size: int, epochs: int, replicates: int) -> dict[str, Any]:
    """Return the study of a network that learns digits, a share ``noise`` of whose training labels are wrong."""
    return {
        "base": {
            "dataset": {"kind": "digits", "train_size": train_size, "validation_size": 200, "label_noise": noise},
            "model": {"kind": "mlp", "hidden": [128]},
            "optimizer": {"kind": "momentum", "lr": 0.05},
            "epochs": epochs,
            "batch_size": 32,
        },
        "arms": {"plain": {}, "mixup": {"regularizers": [{"kind": "mixup", "alpha": alpha}]}},
        "replicates": {"n": replicates, "vary": ["seed", "split"]},
        "metric": "test.error",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Mixup",
    question="Does training on mixtures of rows and labels generalize better?",
    source=Source(
        authors="Hongyi Zhang, Moustapha Cisse, Yann N. Dauphin and David Lopez-Paz",
        year=2018,
        title="mixup: beyond empirical risk minimization",
        venue="International Conference on Learning Representations",
        url="https://openreview.net/forum?id=r1Ddp1-Rb",
    ),
    deviations=(
        "The source trains residual networks on CIFAR and ImageNet. Here a network with one hidden layer learns "
        "scanned digits. α is 1 with right labels, as on CIFAR, and 8 with wrong ones, the smaller of the source's two."
    ),
    studies={
        "quick": {"clean": _study(0.0, 1.0, 300, 40, 8), "noise": _study(0.2, 8.0, 300, 40, 8)},
        "full": {"clean": _study(0.0, 1.0, 1000, 150, 32), "noise": _study(0.2, 8.0, 1000, 150, 32)},
    },
    claims={
        "generalizes": Claim(
            statement="The test error is lower with mixup.",
            expected="lower: 5.6 % becomes 4.2 % on CIFAR-10 (PreAct ResNet-18)",
            place="section on CIFAR-10 and CIFAR-100",
            rule=Direction(study="clean", arm="mixup", against="plain", direction="lower"),
        ),
        "robust": Claim(
            statement="Where a fifth of the training labels are wrong, the test error after the last epoch is lower.",
            expected="lower",
            place="section on memorization of corrupted labels",
            rule=Direction(study="noise", arm="mixup", against="plain", direction="lower"),
        ),
        "memorizes_less": Claim(
            statement="With mixup, the network fits the training labels less, wrong ones among them.",
            expected="higher training error",
            place="section on memorization of corrupted labels",
            rule=Direction(
                study="noise", arm="mixup", against="plain", metric="train.error_eval", at="last", direction="higher"
            ),
        ),
    },
)
