"""SGD and momentum at four learning rates, with full batches, until the training loss is below 0.1."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Scale
from service.reproductions.rules import Bound, Direction

STUDY = "optimizers"
RATES = (0.001, 0.01, 0.1, 1.0)
MOMENTA = (0.9, 0.95, 0.97, 0.99)
TARGET, STEPS = 0.1, 1000


def studies(scale: Scale) -> dict[str, Any]:
    """Return the study of a scale; with full batches an epoch is a step."""
    hidden, rows, seeds = (64, None, 12) if scale == "full" else (16, 200, 8)
    arms = {
        f"{kind} {rate:g}": {"optimizer": {"kind": kind, "lr": rate}} for kind in ("sgd", "momentum") for rate in RATES
    }
    averaged = {f"averaged {beta:g}": {"optimizer": {"kind": "sgd_ema", "beta": beta, "lr": None}} for beta in MOMENTA}
    return {
        STUDY: {
            "base": {
                "dataset": {"kind": "digits", "validation_size": 0, "train_size": rows},
                "model": {"kind": "mlp", "hidden": [hidden], "init": {"kind": "normal", "std": 0.1}},
                "optimizer": {"kind": "sgd", "lr": 0.1},
                "epochs": STEPS,
                "batch_size": "full",
                "stop": [{"kind": "train_loss_below", "threshold": TARGET}],
                "evaluate": {"train": "never", "test": "last_epoch"},
            },
            "arms": {**arms, **averaged},
            "seeds": seeds,
            "metric": "epochs",
            "at": "last",
        }
    }


def _converges(arm: str, statement: str, place: str) -> Claim:
    """Return the claim that the training loss of an arm is below the target in the end."""
    return Claim(
        statement=statement,
        expected=f"a training loss below {TARGET:g} within {STEPS:,} steps",
        place=place,
        rule=Bound(study=STUDY, arm=arm, metric="train.loss", at="last", direction="lower", bound=TARGET),
    )


def _faster(momentum: str, sgd: str, statement: str) -> Claim:
    """Return the claim that momentum reaches the target in fewer steps than SGD."""
    return Claim(
        statement=statement,
        expected="fewer steps",
        place="optimizers, loss curves: 'momentum converges faster than SGD'",
        rule=Direction(study=STUDY, arm=momentum, against=sgd, metric="epochs", at="last"),
    )


CLAIMS = {
    "momentum_is_faster_at_0_1": _faster(
        "momentum 0.1", "sgd 0.1", "At a learning rate of 0.1, momentum takes fewer steps than SGD."
    ),
    "momentum_is_faster_at_1": _faster(
        "momentum 1", "sgd 1", "At a learning rate of 1, momentum takes fewer steps than SGD."
    ),
    "momentum_as_printed_is_faster": _faster(
        "averaged 0.9",
        "sgd 1",
        "The source's form of momentum, which has no learning rate, takes fewer steps than SGD at its best rate.",
    ),
    "momentum_is_ahead_at_0_001": Claim(
        statement="At a learning rate of 0.001, momentum ends with a lower training loss than SGD.",
        expected="lower",
        place="optimizers, loss curves: 'momentum converges faster than SGD'",
        rule=Direction(study=STUDY, arm="momentum 0.001", against="sgd 0.001", metric="train.loss", at="last"),
    ),
    "every_rate_suits_momentum": _converges(
        "momentum 0.001",
        "Every learning rate suits momentum: it converges at 0.001, too.",
        "optimizers, conclusion on learning rates",
    ),
    "sgd_converges_at_0_001": _converges(
        "sgd 0.001", "SGD converges at a learning rate of 0.001.", "optimizers, conclusion on learning rates"
    ),
    "sgd_converges_at_0_01": _converges(
        "sgd 0.01", "SGD converges at a learning rate of 0.01.", "optimizers, conclusion on learning rates"
    ),
    **{
        f"momentum_of_{beta:g}".replace(".", "_"): _converges(
            f"averaged {beta:g}", f"A momentum of {beta:g} is a good start.", "optimizers, conclusion on momenta"
        )
        for beta in MOMENTA
    },
}
