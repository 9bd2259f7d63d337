"""The specs that the programs of Fitwell train."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.networks import resnet
from benchmarks.programs.measuring import BATCH, CHANNELS, DEGREES, LR, MEAN, STD
from worker.spec.run import RunSpec

AUGMENT = [
    {"kind": "rotation", "degrees": DEGREES},
    {"kind": "horizontal_flip", "p": 0.5},
    {"kind": "vertical_flip", "p": 0.5},
]


def body(
    *,
    seed: int = 0,
    model: str = "mlp",
    hidden: tuple[int, ...] = (128, 128),
    rows: int = 60_000,
    epochs: int = 10,
    augment: bool = False,
    evaluate: bool = False,
    dataset: Mapping[str, Any] | None = None,
    **changed: Any,
) -> dict[str, Any]:
    """Return the body of a run; without evaluation also without a validation set.

    ``dataset`` replaces FashionMNIST.
    """
    evaluation = {} if evaluate else {"evaluate": {"train": "never", "test": "never"}}
    models = {
        "mlp": {"kind": "mlp", "hidden": hidden},
        "cnn": {"kind": "cnn", "channels": CHANNELS},
        "resnet20": resnet(3, (16, 32, 64)),
    }
    clothes = {"kind": "fashion_mnist", "train_size": rows, "normalize": {"mean": MEAN, "std": STD}}
    return {
        "dataset": {**(dataset or clothes), "validation_size": 10_000 if evaluate else 0},
        "model": models[model],
        "regularizers": AUGMENT if augment else [],
        "optimizer": {"kind": "sgd", "lr": LR},
        "epochs": epochs,
        "batch_size": BATCH,
        "seed": seed,
        **evaluation,
        **changed,
    }


def spec(**work: Any) -> RunSpec:
    """The same, resolved."""
    return RunSpec.model_validate_json(json.dumps(body(**work)))
