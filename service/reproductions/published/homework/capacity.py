"""Nearest neighbors, elastic net with dropout, and the causes of overfitting and underfitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from service.catalog.presets import preset
from service.reproductions.definition import Claim, Scale
from service.reproductions.parts import PartOrder
from service.reproductions.rules import Bound, Direction, Order

NEIGHBORS, LINEAR, SERIES, CAUSES, UNDERFIT = "neighbors", "linear model", "monthly series", "causes", "underfitting"
KS = (1, 5, 10, 20, 50)


def _neighbors(dataset: dict[str, Any], replicates: int) -> dict[str, Any]:
    """Return the study of k nearest neighbors; every replicate has training rows of its own."""
    return {
        "base": {"dataset": dataset, "model": {"kind": "knn"}, "epochs": 1},
        "arms": {f"k = {k}": {"epochs": k} for k in KS},
        "replicates": {"n": replicates, "vary": ["seed", "split"]},
        "metric": "test.error",
        "at": "last",
    }


def _penalties(base: dict[str, Any], l1: float, l2: float, dropout: dict[str, Any], seeds: int) -> dict[str, Any]:
    """Return the study of an elastic net with and without dropout."""
    net = {"kind": "elastic_net", "l1": l1, "l2": l2}
    return {
        "base": base,
        "arms": {
            "plain": {},
            "elastic net": {"regularizers": [net]},
            "elastic net + dropout": {"regularizers": [net, dropout]},
        },
        "seeds": seeds,
        "metric": "test.loss",
        "at": "last",
    }


def _causes(epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of a linear model on data that make it overfit, each for one reason."""
    usual: dict[str, Any] = {"kind": "linear", "train_size": 200, "validation_size": 0, "features": 20, "noise": 1.0}
    changes: dict[str, dict[str, Any]] = {
        "few rows": {"train_size": 25},
        "noise": {"noise": 4.0},
        "many features": {"features": 150},
        "collinear inputs": {"correlation": 0.95},
    }
    return {
        "base": {
            "dataset": usual,
            "model": {"kind": "linear"},
            "optimizer": {"kind": "sgd", "lr": 0.02},
            "epochs": epochs,
            "batch_size": "full",
            "evaluate": {"every": 50},
        },
        "arms": {"usual": {}, **{name: {"dataset": {**usual, **own}} for name, own in changes.items()}},
        "seeds": seeds,
        "metric": "test.loss",
        "at": "last",
    }


def _underfitting(epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of a network that learns too little, each time for one reason."""
    return {
        "base": {
            "dataset": {"kind": "digits", "train_size": 600, "validation_size": 0},
            "model": {"kind": "mlp", "hidden": [32]},
            "optimizer": {"kind": "momentum", "lr": 0.02},
            "epochs": epochs,
            "batch_size": 50,
        },
        "arms": {
            "usual": {},
            "too small": {"model": {"kind": "mlp", "hidden": [2]}},
            "too short": {"epochs": 3},
            "too strong a penalty": {"regularizers": [{"kind": "l2", "strength": 0.2}]},
        },
        "seeds": seeds,
        "metric": "train.loss_eval",
        "at": "last",
    }


def studies(scale: Scale) -> dict[str, Any]:
    """Return the studies of a scale."""
    full = scale == "full"
    rows = {"kind": "digits", "train_size": 500, "validation_size": 0, "label_noise": 0.2}
    clothes = {**rows, "kind": "fashion_mnist", "train_size": 5000}
    regression, series = (
        {name: value for name, value in preset(preset_name).runs[arm].items() if name != "name"}
        for preset_name, arm in (("regression", "plain"), ("monthly_series", "network"))
    )
    linear = {**regression, "epochs": 600 if full else 200}
    network = {**series, "epochs": 200 if full else 40}
    seeds = 20 if full else 8
    return {
        NEIGHBORS: _neighbors(clothes if full else rows, 8),
        LINEAR: _penalties(linear, 0.4, 0.05, {"kind": "dropout", "p": 0.0, "input_p": 0.2}, seeds),
        SERIES: _penalties(network, 1e-4, 1e-3, {"kind": "dropout", "p": 0.2}, seeds),
        CAUSES: _causes(600 if full else 200, seeds),
        UNDERFIT: _underfitting(100 if full else 30, seeds),
    }


def _helps(study: str, arm: str, against: str, statement: str, place: str) -> Claim:
    return Claim(
        statement=statement,
        expected="lower test loss",
        place=place,
        rule=Direction(study=study, arm=arm, against=against, metric="test.loss", at="last"),
    )


def _cause(arm: str, metric: str, statement: str) -> Claim:
    return Claim(
        statement=statement,
        expected="higher: it is a cause of overfitting",
        place="causes of overfitting",
        rule=Direction(study=CAUSES, arm=arm, against="usual", metric=metric, at="last", direction="higher"),
    )


def _underfits(arm: str, statement: str) -> Claim:
    return Claim(
        statement=statement,
        expected="higher: it is a cause of underfitting",
        place="causes of underfitting",
        rule=Direction(
            study=UNDERFIT, arm=arm, against="usual", metric="train.loss_eval", at="last", direction="higher"
        ),
    )


def _parts_by_k(part: Literal["bias", "variance"], ks: Sequence[int], statement: str, expected: str) -> Claim:
    return Claim(
        statement=statement,
        expected=expected,
        place="k nearest neighbors, bias and variance over k",
        rule=PartOrder(study=NEIGHBORS, arms=tuple(f"k = {k}" for k in ks), part=part, at="last"),
    )


def _by_k(arm: str, against: str, direction: Any, statement: str, expected: str) -> Claim:
    return Claim(
        statement=statement,
        expected=expected,
        place="k nearest neighbors, bias and variance over k",
        rule=Direction(study=NEIGHBORS, arm=arm, against=against, metric="test.error", at="last", direction=direction),
    )


CLAIMS = {
    "one_neighbor_memorizes": Claim(
        statement="With one neighbor every training row is classified as labelled.",
        expected="a training error of 0",
        place="k nearest neighbors, training error over k",
        rule=Bound(study=NEIGHBORS, arm="k = 1", metric="train.error", at="last", direction="lower", bound=0.001),
    ),
    "training_error_rises_with_k": Claim(
        statement="The training error rises with the number of neighbors.",
        expected="1 < 5 < 10 < 20 < 50 neighbors",
        place="k nearest neighbors, training error over k",
        rule=Order(study=NEIGHBORS, arms=tuple(f"k = {k}" for k in KS), metric="train.error", at="last"),
    ),
    "few_neighbors_vary": _by_k(
        "k = 10", "k = 1", "lower", "Ten neighbors have a lower test error than one.", "lower: less variance"
    ),
    "many_neighbors_are_biased": _by_k(
        "k = 50", "k = 10", "higher", "Fifty neighbors have a higher test error than ten.", "higher: more bias"
    ),
    "squared_bias_rises_with_k": _parts_by_k(
        "bias", KS[1:], "Squared bias rises with the number of neighbors.", "5 < 10 < 20 < 50 neighbors"
    ),
    "variance_falls_with_k": _parts_by_k(
        "variance", KS[::-1], "Variance falls with the number of neighbors.", "50 < 20 < 10 < 5 < 1 neighbors"
    ),
    "elastic_net_helps_linear_model": _helps(
        LINEAR,
        "elastic net",
        "plain",
        "An elastic net lowers the test loss of a linear model with 40 inputs and 60 rows.",
        "elastic net, simulated data",
    ),
    "dropout_helps_elastic_net_of_linear_model": _helps(
        LINEAR,
        "elastic net + dropout",
        "elastic net",
        "Dropout of inputs lowers the test loss of a linear model with an elastic net.",
        "elastic net with dropout, simulated data",
    ),
    "elastic_net_helps_series": _helps(
        SERIES,
        "elastic net",
        "plain",
        "An elastic net lowers the test loss of a network on a monthly series.",
        "elastic net, monthly series",
    ),
    "dropout_helps_elastic_net_of_series": _helps(
        SERIES,
        "elastic net + dropout",
        "elastic net",
        "Dropout lowers the test loss of a network with an elastic net on a monthly series.",
        "elastic net with dropout, monthly series",
    ),
    "few_rows": _cause("few rows", "test.loss", "With an eighth of the rows the test loss is higher."),
    "noise": _cause("noise", "coefficients.error", "With more noise the coefficients are further from the true ones."),
    "many_features": _cause(
        "many features", "test.loss", "With more inputs that have no effect the test loss is higher."
    ),
    "collinear_inputs": _cause(
        "collinear inputs",
        "coefficients.error",
        "With collinear inputs the coefficients are further from the true ones.",
    ),
    "too_small": _underfits("too small", "A network that is too small has a higher training loss."),
    "too_short": _underfits("too short", "A network that is trained too briefly has a higher training loss."),
    "too_strong_a_penalty": _underfits(
        "too strong a penalty", "A network with too strong a penalty has a higher training loss."
    ),
}
