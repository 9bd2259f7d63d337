"""The metrics that a run will record, derived from its spec before it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SCORES = {"classification": ("accuracy", "error"), "regression": ("r2", "rmse")}
EVALUATION_SCORES = {
    "classification": ("brier", "ece", "balanced_accuracy", "f1", "auc"),
    "regression": ("mae", "mape"),
}
"""Scores that are recorded in evaluation mode only."""
PENALTIES = frozenset(
    {
        "activity_l1", "activity_l2", "confidence_penalty", "distillation", "elastic_net", "group_lasso",
        "input_gradient", "kl_sparsity", "l1", "l2", "label_smoothing", "orthogonal",
    }
)  # fmt: skip
"""Kinds of regularizers that add a term to the objective."""
TEACHERS = frozenset({"distillation"})
"""Kinds of regularizers that add a loss against a teacher."""
NO_PENALTIES = frozenset(
    {
        "aug_mix", "blur", "brightness", "contrast", "crop", "cutmix", "drop_connect", "dropout", "erasing",
        "gradient_noise", "greyscale", "horizontal_flip", "hue", "manifold_mixup", "max_norm", "mixup", "noise",
        "rand_augment", "random_choice", "random_resized_crop", "rotation", "saturation", "sharpen", "shear",
        "solarize", "spectral_norm", "stretch", "trivial_augment", "vertical_flip", "weight_noise", "zoom",
    }
)  # fmt: skip
"""Kinds of regularizers that do not. Kinds in neither set, such as those of newer servers, may do either."""


def metric_names(spec: Mapping[str, Any], task: str) -> set[str]:
    """Return the names of all metrics that a run records in its last epoch.

    Args:
        spec: The spec as the server returns it, with every default filled in.
        task: The dataset's task, classification or regression.
    """
    names = {"train.objective", *_split_metrics(spec, SCORES.get(task, ()), EVALUATION_SCORES.get(task, ()))}
    if spec["model"]["kind"] == "knn":
        return names
    names |= {"lr", "weights.norm", "weights.zeros"}
    regularizers = spec.get("regularizers", ())
    for part in regularizers:
        kind = part["kind"]
        if kind not in NO_PENALTIES:
            names.add(f"penalty.{kind}")
        if kind not in NO_PENALTIES | (PENALTIES - TEACHERS):
            names.add(f"{kind}.loss")
    linear = spec["dataset"]["kind"] == spec["model"]["kind"] == "linear"
    if linear and not any(part.get("form") == "classic" for part in regularizers):  # it rescales weights at evaluation
        names |= {"coefficients.error", "support.tpr", "support.fpr"}
    return names


def _split_metrics(
    spec: Mapping[str, Any], scores: tuple[str, ...], evaluation_scores: tuple[str, ...]
) -> Iterator[str]:
    """Yield losses and scores of each evaluated split."""
    dataset, evaluate = spec["dataset"], spec.get("evaluate", {})
    splits, trains = [("train", "")], spec["model"]["kind"] != "knn"
    if not trains:
        splits.append(("train", "_loo"))
    if evaluate.get("train") != "never":
        splits.append(("train", "_eval"))
    if dataset.get("fold") is not None or dataset.get("validation_size") != 0:
        splits.append(("val", ""))
    if evaluate.get("test") != "never":
        splits.append(("test", ""))
    for split, suffix in splits:
        evaluated = not trains or (split, suffix) != ("train", "")
        names = ("loss", *scores, *evaluation_scores) if evaluated else ("loss", *scores)
        suffixes = [suffix, f"{suffix}_averaged"] if evaluated and spec.get("averaging") else [suffix]
        yield from (f"{split}.{name}{one}" for one in suffixes for name in names)


def condition_names(metrics: set[str]) -> set[str]:
    """Return the names that a condition may use: metrics of the last epoch, and the best epoch's loss and number."""
    names = metrics | {f"last.{name}" for name in metrics}
    selected_on = next((name for name in ("val.loss", "test.loss") if name in metrics), None)
    return names if selected_on is None else names | {"best.value", "best.epoch", f"best.{selected_on}"}
