"""Stochastic weight averaging: the mean of the last epochs' weights generalizes better than the last weights."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction

_LAST = {"averaging": {"kind": "ema", "decay": 0.0}}
"""An average that is the last weights, so that every arm has the metrics of averaged weights."""


def _study(train_size: int, epochs: int, replicates: int) -> dict[str, Any]:
    """Return the study of a network that learns MNIST-1D; the average begins after three quarters of the epochs."""
    return {
        "base": {
            "dataset": {"kind": "mnist1d", "train_size": train_size, "validation_size": 800},
            "model": {"kind": "mlp", "hidden": [128, 128]},
            "optimizer": {"kind": "momentum", "lr": 0.02},
            "epochs": epochs,
            "batch_size": 32,
            "evaluate": {"every": 10},
        },
        "arms": {
            "falling rate": {"schedule": {"kind": "linear"}, **_LAST},
            "constant rate": _LAST,
            "swa": {"averaging": {"kind": "swa", "from_epoch": epochs * 3 // 4}},
        },
        "replicates": {"n": replicates, "vary": ["seed", "split"]},
        "metric": "test.error_averaged",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Stochastic weight averaging",
    question="Is the mean of the weights of the last epochs better than the last weights?",
    source=Source(
        authors="Pavel Izmailov, Dmitrii Podoprikhin, Timur Garipov, Dmitry Vetrov and Andrew Gordon Wilson",
        year=2018,
        title="Averaging weights leads to wider optima and better generalization",
        venue="Uncertainty in Artificial Intelligence",
        url="https://arxiv.org/abs/1803.05407",
    ),
    deviations=(
        "The source trains residual networks on CIFAR and ImageNet, and begins to average with a constant or cyclical "
        "rate after a conventional start. Here a network with two hidden layers learns MNIST-1D, at a constant rate "
        "from the start, and the last quarter of the epochs is averaged. Both kinds of last weights are recorded as an "
        "average that forgets all others."
    ),
    studies={"quick": {"averages": _study(1000, 60, 8)}, "full": {"averages": _study(3000, 300, 24)}},
    claims={
        "beats_sgd": Claim(
            statement="The test error of the averaged weights is lower than after training with a falling rate.",
            expected="lower",
            place="tables of CIFAR-10 and CIFAR-100",
            rule=Direction(study="averages", arm="swa", against="falling rate", direction="lower"),
        ),
        "beats_the_last": Claim(
            statement="The test error of the averaged weights is lower than of the last weights of the same training.",
            expected="lower: SGD ends at the edge of a flat region, the average near its center",
            place="section on the trajectory of SGD and SWA",
            rule=Direction(study="averages", arm="swa", against="constant rate", direction="lower"),
        ),
        "wider": Claim(
            statement="The training loss of the averaged weights is higher than after training with a falling rate.",
            expected="higher, although they generalize better",
            place="section on the width of optima",
            rule=Direction(
                study="averages",
                arm="swa",
                against="falling rate",
                metric="train.loss_eval_averaged",
                at="last",
                direction="higher",
            ),
        ),
    },
)
