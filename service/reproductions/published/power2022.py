"""Grokking: a network generalizes long after it has memorized its rows, and sooner with weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.reproductions.crossings import Delay, Sooner
from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.rules import Bound, Direction

_BOUND = 0.05
"""The error at which a network has memorized or generalizes."""


def _adamw(decay: float) -> dict[str, Any]:
    return {"kind": "adamw", "lr": 0.003, "beta2": 0.98, "weight_decay": decay}


def _study(modulus: int, share: float, width: int, layers: Sequence[dict[str, Any]], epochs: int) -> dict[str, Any]:
    """Return the study of a network that learns a + b from a share of the equations, in batches of half of them."""
    rows = round(share * modulus**2)
    embedding = {"kind": "embedding", "vocabulary": modulus + 2, "width": width}
    return {
        "base": {
            "dataset": {
                "kind": "modular_arithmetic",
                "modulus": modulus,
                "train_size": rows,
                "validation_size": modulus**2 - modulus**2 // 10 - rows,
            },
            "model": {"kind": "sequential", "layers": [embedding, *layers]},
            "optimizer": _adamw(1.0),
            "batch_size": -(-rows // 2),
            "epochs": epochs,
            "evaluate": {"train": "never", "test": "never"},
        },
        "arms": {"decay": {}, "no decay": {"optimizer": _adamw(0.0)}},
        "seeds": 6,
        "metric": "val.error",
        "at": "last",
    }


_DENSE = ({"kind": "flatten"}, {"kind": "dense", "width": 128}, {"kind": "relu"})
_TRANSFORMER = (
    {"kind": "positional_encoding"},
    {"kind": "transformer_block", "heads": 4, "causal": True, "activation": "relu"},
    {"kind": "layer_norm"},
    {"kind": "sequence_pool", "method": "last"},
)

REPRODUCTION = Reproduction(
    title="Grokking",
    question="Does a network generalize long after it has memorized its rows, and sooner with weight decay?",
    source=Source(
        authors="Alethea Power, Yuri Burda, Harri Edwards, Igor Babuschkin and Vedant Misra",
        year=2022,
        title="Grokking: generalization beyond overfitting on small algorithmic datasets",
        venue="arXiv:2201.02177",
        url="https://arxiv.org/abs/2201.02177",
    ),
    deviations=(
        "The source trains a transformer of two layers and a width of 128 on operations modulo 97, at a rate of 0.001, "
        "for up to a million steps. Here the rate is 0.003 and the operation a + b. At quick, a network with an "
        "embedding of 32 numbers and one hidden layer learns it modulo 31 from half of the equations in 600 steps; "
        "at full, the preset's transformer of one layer and a width of 64 modulo 53 from 40 % of them in 1,600 steps. "
        "A network has memorized once at most 5 % of its training rows are wrong, and generalizes once at most 5 % of "
        "the other equations are."
    ),
    studies={
        "quick": {"addition": _study(31, 0.5, 32, _DENSE, 300)},
        "full": {"addition": _study(53, 0.4, 64, _TRANSFORMER, 800)},
    },
    claims={
        "delayed": Claim(
            statement="With weight decay, generalization takes more than twice as many epochs as memorization.",
            expected="a thousand times as many steps in the source's first figure",
            place="figure 1",
            rule=Delay(study="addition", arm="decay", metric="val.error", crosses=_BOUND, after="train.error", times=2),
        ),
        "decay_speeds_it_up": Claim(
            statement="With weight decay, a network generalizes at an earlier epoch than without.",
            expected="earlier: weight decay more than halves the number of rows that it takes",
            place="section on data efficiency and regularization",
            rule=Sooner(study="addition", arm="decay", against="no decay", metric="val.error", crosses=_BOUND),
        ),
        "memorizes": Claim(
            statement="Without weight decay, a network has memorized all its rows in the end: under 1 % are wrong.",
            expected="0 %",
            place="figure 1",
            rule=Bound(study="addition", arm="no decay", metric="train.error", direction="lower", bound=0.01),
        ),
        "decay_generalizes": Claim(
            statement="In the end, fewer of the other equations are wrong with weight decay than without.",
            expected="fewer",
            place="section on data efficiency and regularization",
            rule=Direction(study="addition", arm="decay", against="no decay", direction="lower"),
        ),
    },
)
