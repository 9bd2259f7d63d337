"""Networks on FashionMNIST: one that overfits, and one that is regularized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.catalog.presets import preset
from service.reproductions.definition import Claim, Scale
from service.reproductions.rules import Bound, Direction, Equivalence, Figure

FULL: tuple[Scale, ...] = ("full",)
OVERFIT, REGULARIZED = "overfitting", "regularizers"
CONTINUED = "large, continued with augmentation"
AUGMENTATION: Sequence[Mapping[str, Any]] = (
    {"kind": "rotation", "degrees": 10},
    {"kind": "horizontal_flip", "p": 0.5},
    {"kind": "vertical_flip", "p": 0.5},
)
DECAY: Mapping[str, Any] = {"kind": "l2", "strength": 1e-5, "biases": True}


def overfitting(base: Mapping[str, Any], half: int, small: list[int], seeds: int) -> dict[str, Any]:
    """Return the study of a large network, trained to the end, half as long, and on with augmentation; and a small one.

    The network that is trained on sees inputs in [0, 1], as in the source. It begins with the weights that the large
    one of its seed ends with.
    """
    continued = {
        "dataset": {"normalize": None},
        "regularizers": [dict(part) for part in AUGMENTATION],
        "warm_start": {"spec": dict(base)},
    }
    return {
        "base": dict(base),
        "arms": {
            "large": {},
            "large, half as long": {"epochs": half},
            "small": {"model": {"kind": "mlp", "hidden": small}},
            CONTINUED: continued,
        },
        "seeds": seeds,
        "metric": "test.loss",
        "at": "last",
    }


def regularizers(base: Mapping[str, Any], l1: float, l2: float, seeds: int) -> dict[str, Any]:
    """Return the study of a small network with regularizers; ``l1`` and ``l2`` are the strengths of penalties alone."""
    combinations = {
        name: {"regularizers": run["regularizers"]}
        for name, run in preset("combinations").runs.items()
        if "regularizers" in run
    }
    forms = {name: {"regularizers": preset("dropout").runs[name]["regularizers"]} for name in ("inverted", "classic")}
    return {
        "base": dict(base),
        "arms": {
            "plain": {},
            "weight decay": {"regularizers": [dict(DECAY)]},
            **combinations,
            "l2 + dropout of 0.6": {"regularizers": [dict(DECAY), {"kind": "dropout", "p": 0.6}]},
            **forms,
            "l1": {"regularizers": [{"kind": "l1", "strength": l1}]},
            "l2": {"regularizers": [{"kind": "l2", "strength": l2}]},
        },
        "seeds": seeds,
        "metric": "test.loss",
        "at": "last",
    }


def studies(scale: Scale) -> dict[str, Any]:
    """Return the studies of a scale: scanned digits at quick, FashionMNIST with the source's sizes at full."""
    images = {"kind": "fashion_mnist", "validation_size": 0}
    sgd = {"kind": "sgd", "lr": 0.01}
    if scale == "full":
        large = {
            "dataset": {**images, "normalize": {"mean": 0.1307, "std": 0.3081}},
            "model": {"kind": "mlp", "hidden": [1024, 512]},
            "optimizer": sgd,
            "epochs": 60,
            "evaluate": {"train": "never"},
        }
        small = {
            "dataset": images, "model": {"kind": "mlp", "hidden": [128, 128]}, "optimizer": sgd, "epochs": 30
        }  # fmt: skip
        return {
            OVERFIT: overfitting(large, half=30, small=[128, 128], seeds=6),
            REGULARIZED: regularizers(small, l1=1e-4, l2=1e-3, seeds=8),
        }
    large = {
        "dataset": {"kind": "digits", "train_size": 500, "validation_size": 0, "label_noise": 0.2},
        "model": {"kind": "mlp", "hidden": [256, 128]},
        "optimizer": {"kind": "momentum", "lr": 0.02},
        "epochs": 60,
        "batch_size": 50,
    }
    small = {
        "dataset": {"kind": "digits", "validation_size": 0},
        "model": {"kind": "mlp", "hidden": [32, 32]},
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "epochs": 30,
    }
    return {
        OVERFIT: overfitting(large, half=30, small=[16], seeds=8),
        REGULARIZED: regularizers(small, l1=1e-3, l2=1e-3, seeds=8),
    }


def _printed(study: str, arm: str, metric: str, at: str, value: float, tolerance: float, place: str) -> Claim:
    """Return the claim that an arm has a figure that the source prints."""
    epoch = "the last epoch" if at == "last" else f"epoch {at.removeprefix('epoch:')}"
    kind = "training loss" if metric == "train.loss" else "test loss"
    return Claim(
        statement=f"The {kind} of '{arm}' in {epoch} is {value:g}.",
        expected=f"{value:g}",
        place=place,
        rule=Figure(study=study, arm=arm, metric=metric, at=at, value=value, tolerance=tolerance),
        scales=FULL,
    )


def _of_large(metric: str, at: str, value: float, tolerance: float) -> Claim:
    place = "overfit network, losses of " + ("the last epoch" if at == "last" else at.replace(":", " "))
    return _printed(OVERFIT, "large", metric, at, value, tolerance, place)


def _of_continued(metric: str, at: str, value: float, tolerance: float) -> Claim:
    place = "augmentation, losses of " + ("the last epoch" if at == "last" else at.replace(":", " "))
    return _printed(OVERFIT, CONTINUED, metric, at, value, tolerance, place)


def _of_small(arm: str, metric: str, at: str, value: float, tolerance: float, note: str = "") -> Claim:
    place = f"{arm.replace('l2', 'L2')}, losses of the last epoch{note}"
    return _printed(REGULARIZED, arm, metric, at, value, tolerance, place)


OVERFITTING_CLAIMS = {
    "large_network_overfits": Claim(
        statement="The test loss of the large network is higher at the end than after half of the epochs.",
        expected="higher: the test loss stops falling while the training loss falls on",
        place="overfit network, loss curves",
        rule=Direction(
            study=OVERFIT, arm="large", against="large, half as long", metric="test.loss", at="last", direction="higher"
        ),
    ),
    "training_loss_falls_on": Claim(
        statement="The training loss of the large network is lower at the end than after half of the epochs.",
        expected="lower: 0.0802 after 60 epochs",
        place="overfit network, loss curves",
        rule=Direction(study=OVERFIT, arm="large", against="large, half as long", metric="train.loss", at="last"),
    ),
    "large_network_fits_better": Claim(
        statement="The large network fits the training rows better than the small one.",
        expected="lower training loss",
        place="overfit network, choice of the size",
        rule=Direction(study=OVERFIT, arm="large", against="small", metric="train.loss", at="last"),
    ),
    "large_first_train_loss": _of_large("train.loss", "epoch:1", 0.7753, 0.05),
    "large_first_test_loss": _of_large("test.loss", "epoch:1", 0.5539, 0.05),
    "large_12th_train_loss": _of_large("train.loss", "epoch:12", 0.2904, 0.02),
    "large_12th_test_loss": _of_large("test.loss", "epoch:12", 0.3653, 0.03),
    "large_last_train_loss": _of_large("train.loss", "last", 0.0802, 0.01),
    "large_last_test_loss": _of_large("test.loss", "last", 0.3514, 0.03),
    "augmentation_helps_overfit_network": Claim(
        statement="The overfit network has a lower test loss after it was trained on with augmentation.",
        expected="lower: 0.3211 against 0.3514 are printed",
        place="augmentation and overfit network, losses of the last epoch",
        rule=Direction(study=OVERFIT, arm=CONTINUED, against="large", metric="test.loss", at="last"),
    ),
    "augmentation_is_harder_to_fit": Claim(
        statement="The overfit network has a higher training loss after it was trained on with augmentation.",
        expected="higher: 0.292 against 0.0802 are printed",
        place="augmentation and overfit network, losses of the last epoch",
        rule=Direction(
            study=OVERFIT, arm=CONTINUED, against="large", metric="train.loss", at="last", direction="higher"
        ),
    ),
    "continued_first_train_loss": _of_continued("train.loss", "epoch:1", 0.7133, 0.05),
    "continued_first_test_loss": _of_continued("test.loss", "epoch:1", 0.4223, 0.05),
    "continued_12th_train_loss": _of_continued("train.loss", "epoch:12", 0.3935, 0.02),
    "continued_12th_test_loss": _of_continued("test.loss", "epoch:12", 0.3753, 0.03),
    "continued_last_train_loss": _of_continued("train.loss", "last", 0.292, 0.02),
    "continued_last_test_loss": _of_continued("test.loss", "last", 0.3211, 0.03),
}
MULTIPLIED = ", test loss divided by 0.4"
REGULARIZER_CLAIMS = {
    "weight_decay_helps": Claim(
        statement="A weight decay of 1e-5 lowers the test loss by at least 0.01.",
        expected="lower",
        place="weight decay, loss curves",
        rule=Direction(
            study=REGULARIZED, arm="weight decay", against="plain", metric="test.loss", at="last", min_effect=0.01
        ),
    ),
    "dropout_helps_weight_decay": Claim(
        statement="Weight decay with dropout has a lower test loss than weight decay alone.",
        expected="lower: 0.1653 against 0.4022 are printed",
        place="L2 + dropout and weight decay, losses of the last epoch",
        rule=Direction(study=REGULARIZED, arm="l2 + dropout", against="weight decay", metric="test.loss", at="last"),
    ),
    "dropout_beats_l2_with_augmentation": Claim(
        statement="With augmentation, dropout has a lower test loss than L2.",
        expected="lower: 0.1673 against 0.4196 are printed",
        place="dropout + augmentation and L2 + augmentation, losses of the last epoch",
        rule=Direction(
            study=REGULARIZED,
            arm="dropout + augmentation",
            against="l2 + augmentation",
            metric="test.loss",
            at="last",
        ),
    ),
    "weight_decay_train_loss": _of_small("weight decay", "train.loss", "epoch:17", 0.3777, 0.015),
    "weight_decay_test_loss": _of_small("weight decay", "test.loss", "epoch:17", 0.4022, 0.03),
    "l2_augmentation_train_loss": _of_small("l2 + augmentation", "train.loss", "last", 0.4081, 0.015),
    "l2_augmentation_test_loss": _of_small("l2 + augmentation", "test.loss", "last", 0.4196, 0.03),
    "l2_dropout_test_loss_as_printed": _of_small("l2 + dropout", "test.loss", "last", 0.1653, 0.02),
    "l2_dropout_test_loss": _of_small("l2 + dropout", "test.loss", "epoch:18", 0.4133, 0.02, MULTIPLIED),
    "l2_dropout_train_loss": _of_small("l2 + dropout", "train.loss", "epoch:18", 0.4475, 0.02),
    "l2_dropout_of_0_6_train_loss": Claim(
        statement="The printed training loss of L2 + dropout fits a network that drops 0.6 of the units.",
        expected="0.4475: the text also speaks of keeping 0.4",
        place="L2 + dropout, losses of the last epoch",
        rule=Figure(
            study=REGULARIZED,
            arm="l2 + dropout of 0.6",
            metric="train.loss",
            at="epoch:18",
            value=0.4475,
            tolerance=0.02,
        ),
        scales=FULL,
    ),
    "dropout_augmentation_test_loss_as_printed": _of_small("dropout + augmentation", "test.loss", "last", 0.1673, 0.02),
    "dropout_augmentation_test_loss": _of_small(
        "dropout + augmentation", "test.loss", "last", 0.4183, 0.02, MULTIPLIED
    ),
    "dropout_augmentation_train_loss": _of_small("dropout + augmentation", "train.loss", "last", 0.4523, 0.02),
    "forms_of_dropout_agree": Claim(
        statement="Inverted and classic dropout end at the same test loss, to within 0.01.",
        expected="the same",
        place="dropout, two implementations",
        rule=Equivalence(
            study=REGULARIZED, arm="classic", against="inverted", metric="test.loss", at="last", margin=0.01
        ),
    ),
    "l1_makes_zeros": Claim(
        statement="L1 makes more than 1 % of the weights exactly zero.",
        expected="a peak at zero",
        place="L1, histogram of the weights",
        rule=Bound(study=REGULARIZED, arm="l1", metric="weights.zeros", at="last", direction="higher", bound=0.01),
    ),
    "l2_makes_no_zeros": Claim(
        statement="L2 makes fewer than 0.1 % of the weights exactly zero.",
        expected="small weights, but no peak at zero",
        place="L2, histogram of the weights",
        rule=Bound(study=REGULARIZED, arm="l2", metric="weights.zeros", at="last", direction="lower", bound=0.001),
    ),
}
CLAIMS = {**OVERFITTING_CLAIMS, **REGULARIZER_CLAIMS}
