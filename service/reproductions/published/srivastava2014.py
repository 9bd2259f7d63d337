"""Dropout, table 9: six regularizers of one network on MNIST, and the test error of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.catalog.presets import preset
from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Direction, Figure, Order

_RUNS = preset("srivastava").runs
PUBLISHED = {
    "dropout + max-norm": 0.0105,
    "dropout + l2": 0.0125,
    "max-norm": 0.0135,
    "l2 + kl sparsity": 0.0155,
    "l2 + l1 towards the end": 0.016,
    "l2": 0.0162,
}
"""Test errors of table 9 by arm, from the lowest."""
TOLERANCE = 0.0015
"""How far a mean may be from the source's figure: a little more than one standard error of 10,000 test rows."""


def _study(hidden: Sequence[int], rows: int, epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of the preset's six arms, the L1 penalty active in the last sixth of the epochs."""
    base = {name: value for name, value in _RUNS["l2"].items() if name not in ("name", "regularizers")}
    arms = {arm: {"regularizers": _RUNS[arm]["regularizers"]} for arm in PUBLISHED}
    late = [*_RUNS["l2 + l1 towards the end"]["regularizers"]]
    late[1] = {**late[1], "active": {"from_epoch": epochs * 5 // 6}}
    arms["l2 + l1 towards the end"] = {"regularizers": late}
    return {
        "base": {
            **base,
            "dataset": {"kind": "mnist", "train_size": rows, "validation_size": 0},
            "model": {"kind": "mlp", "hidden": list(hidden)},
            "epochs": epochs,
            "evaluate": {"train": "never", "test": "last_epoch"},
        },
        "arms": arms,
        "seeds": seeds,
        "metric": "test.error",
        "at": "last",
    }


def _figure(arm: str, error: float) -> Claim:
    return Claim(
        statement=f"The test error with {arm} is {error:.2%}.",
        expected=f"{error:.2%}",
        place="table 9",
        rule=Figure(study="mnist", arm=arm, value=error, tolerance=TOLERANCE),
        scales=("full",),
    )


REPRODUCTION = Reproduction(
    title="Dropout and five other regularizers",
    question="Which regularizer of a large network has the lowest test error on MNIST?",
    source=Source(
        authors="Nitish Srivastava, Geoffrey Hinton, Alex Krizhevsky, Ilya Sutskever and Ruslan Salakhutdinov",
        year=2014,
        title="Dropout: a simple way to prevent neural networks from overfitting",
        venue="Journal of Machine Learning Research 15, pages 1929–1958",
        url="https://jmlr.org/papers/v15/srivastava14a.html",
    ),
    deviations=(
        "The source chooses the settings of each method on validation rows and trains for up to a million steps. Here "
        "the settings are the preset's, chosen for none of the methods. At full, a network half as wide as the "
        "source's, 784-512-512-1024-10, learns all 60,000 rows for 20 epochs, 19,000 steps, with eight seeds, so that "
        "two cores train it within an hour or two: the source's own network takes 26 s of one core for an epoch (AMD "
        "EPYC with AVX-512), and 48 runs of 60 epochs 21 hours. At quick, a network of 256, 256 and 512 units learns "
        "4,000 rows for 15 epochs, so its errors are several times the source's, and only order and directions are "
        "tested. A figure counts as the source's within 0.15 percentage points."
    ),
    studies={
        "quick": {"mnist": _study((256, 256, 512), 4000, 15, 6)},
        "full": {"mnist": _study((512, 512, 1024), 60_000, 20, 8)},
    },
    claims={
        "order": Claim(
            statement="The six methods have test errors in the order of table 9.",
            expected=" < ".join(f"{error:.2%}" for error in PUBLISHED.values()),
            place="table 9",
            rule=Order(study="mnist", arms=tuple(PUBLISHED)),
        ),
        "dropout_helps_l2": Claim(
            statement="The test error is lower with dropout and L2 than with L2 alone.",
            expected="lower: 1.62 % becomes 1.25 %",
            place="table 9",
            rule=Direction(study="mnist", arm="dropout + l2", against="l2", direction="lower"),
        ),
        "dropout_helps_max_norm": Claim(
            statement="The test error is lower with dropout and max-norm than with max-norm alone.",
            expected="lower: 1.35 % becomes 1.05 %",
            place="table 9",
            rule=Direction(study="mnist", arm="dropout + max-norm", against="max-norm", direction="lower"),
        ),
        "max_norm_suits_dropout": Claim(
            statement="With dropout, the test error is lower with max-norm than with L2.",
            expected="lower: 1.25 % becomes 1.05 %",
            place="table 9",
            rule=Direction(study="mnist", arm="dropout + max-norm", against="dropout + l2", direction="lower"),
        ),
        **{
            f"error_of_{arm.replace(' + ', '_').replace(' ', '_').replace('-', '_')}": _figure(arm, error)
            for arm, error in PUBLISHED.items()
        },
    },
)
