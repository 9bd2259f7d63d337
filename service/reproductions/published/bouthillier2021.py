"""Variance in benchmarks: the split of the data contributes more than the seed, and verdicts flip with it."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction
from service.reproductions.splits import Flips, LargerShare


def _study(hidden: list[int], epochs: int, replicates: int) -> dict[str, Any]:
    """Return the study of a network with and without dropout, on every split with every seed."""
    return {
        "base": {
            "dataset": {"kind": "digits", "train_size": 200, "validation_size": 500},
            "model": {"kind": "mlp", "hidden": hidden},
            "optimizer": {"kind": "momentum", "lr": 0.05},
            "epochs": epochs,
            "batch_size": 20,
            "evaluate": {"train": "never", "every": epochs},
        },
        "arms": {"plain": {}, "dropout": {"regularizers": [{"kind": "dropout", "p": 0.5}]}},
        "replicates": {"seeds": replicates, "splits": replicates},
        "metric": "val.error",
        "at": "last",
    }


REPRODUCTION = Reproduction(
    title="Variance in machine learning benchmarks",
    question="How much of the variance of a result comes from the split of the data, and do verdicts depend on it?",
    source=Source(
        authors="Xavier Bouthillier, Pierre Delaunay, Mirko Bronzi and others",
        year=2021,
        title="Accounting for variance in machine learning benchmarks",
        venue="Proceedings of Machine Learning and Systems 3",
        url="https://arxiv.org/abs/2103.03098",
    ),
    deviations=(
        "The source varies the bootstrap sample of the data, the initial weights, the order of the rows, augmentation, "
        "dropout and the choice of hyperparameters one at a time, in five tasks. Here a network learns scanned digits "
        "with dropout and without, on every split with every seed. The seed decides the initial weights, the order and "
        "dropout together, so their shares are not separated. Hyperparameters are fixed. The F test of both shares "
        "assumes normal values."
    ),
    studies={"quick": {"crossed": _study([64], 40, 10)}, "full": {"crossed": _study([256, 128], 60, 20)}},
    claims={
        "split_matters_most": Claim(
            statement="The split contributes more to the variance of the validation error than the seed.",
            expected="more: of all sources, sampling the data contributes most",
            place="section on the variance of learning procedures, figure 1",
            rule=LargerShare(study="crossed", arm="plain", metric="val.error"),
        ),
        "split_matters_most_with_dropout": Claim(
            statement="With dropout, too, the split contributes more than the seed.",
            expected="more",
            place="section on the variance of learning procedures, figure 1",
            rule=LargerShare(study="crossed", arm="dropout", metric="val.error"),
        ),
        "verdicts_flip": Claim(
            statement="The seeds of one split show that dropout has a lower validation loss, those of another that it "
            "is higher.",
            expected="a comparison on one split may err",
            place="section on the reliability of comparisons",
            rule=Flips(study="crossed", arm="dropout", against="plain", metric="val.loss"),
        ),
        "dropout_helps": Claim(
            statement="Over all splits, dropout lowers the validation error.",
            expected="lower",
            place="not in the source; the comparison whose verdicts flip",
            rule=Direction(study="crossed", arm="dropout", against="plain", direction="lower"),
        ),
    },
)
