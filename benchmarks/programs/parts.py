"""The cost of each part over plain SGD: interleaved epochs of the same network in one process."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

from worker.engine.gemm_backend import GemmBackend, gemm_backend_for, limit_instructions

limit_instructions()

import torch  # noqa: E402

from benchmarks.programs.measuring import DATASETS, task  # noqa: E402
from benchmarks.programs.specs import AUGMENT, spec  # noqa: E402
from worker.engine.data import Data  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402
from worker.engine.training import Training  # noqa: E402

PLAIN = "plain SGD"


def regularizer(kind: str, **fields: Any) -> dict[str, Any]:
    return {"regularizers": [{"kind": kind, **fields}]}


def optimizer(kind: str, lr: float, **fields: Any) -> dict[str, Any]:
    return {"optimizer": {"kind": kind, "lr": lr, **fields}}


VARIANTS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "momentum": optimizer("momentum", 0.01, momentum=0.9),
    "nesterov": optimizer("nesterov", 0.01, momentum=0.9),
    "adagrad": optimizer("adagrad", 0.01),
    "rmsprop": optimizer("rmsprop", 0.001),
    "adam": optimizer("adam", 0.001),
    "adamw": optimizer("adamw", 0.001),
    "nadam": optimizer("nadam", 0.001),
    "muon": optimizer("muon", 0.01),
    "l2": regularizer("l2", strength=1e-4),
    "l1": regularizer("l1", strength=1e-5),
    "elastic_net": regularizer("elastic_net", l1=1e-5, l2=1e-4),
    "max_norm": regularizer("max_norm", limit=3.0),
    "group_lasso": regularizer("group_lasso", strength=1e-4),
    "orthogonal": regularizer("orthogonal", strength=1e-3),
    "spectral_norm": regularizer("spectral_norm", limit=2.0),
    "input_gradient": regularizer("input_gradient", strength=1e-2),
    "activity_l1": regularizer("activity_l1", strength=1e-4),
    "kl_sparsity": regularizer("kl_sparsity", target=0.05, strength=1e-3),
    "dropout": regularizer("dropout", p=0.4),
    "label_smoothing": regularizer("label_smoothing", amount=0.1),
    "confidence_penalty": regularizer("confidence_penalty"),
    "gradient_noise": regularizer("gradient_noise"),
    "weight_noise": regularizer("weight_noise", std=0.01),
    "drop_connect": regularizer("drop_connect", p=0.2),
    "manifold_mixup": regularizer("manifold_mixup"),
    "noise": regularizer("noise", std=0.1),
    "mixup": regularizer("mixup", alpha=0.2),
    "cutmix": regularizer("cutmix", alpha=1.0),
    "rotation, both flips": {"regularizers": AUGMENT},
    "crop": regularizer("crop", padding=2),
    "zoom": regularizer("zoom", factor=1.1),
    "brightness": regularizer("brightness", amount=0.2),
    "blur": regularizer("blur"),
    "rand_augment": regularizer("rand_augment"),
    "trivial_augment": regularizer("trivial_augment"),
    "aug_mix": regularizer("aug_mix"),
    "erasing": regularizer("erasing"),
    "bfloat16": {"precision": "bfloat16"},
    "evaluation of 30,000 rows": {"evaluate": {"train": "subset", "test": "every_epoch"}},
}


class Variant:
    """A stack that trains an epoch at a time, on its own backend."""

    def __init__(self, changed: dict[str, Any], *, hidden: tuple[int, ...], runs: int, rows: int, epochs: int) -> None:
        evaluated = "evaluate" in changed
        options = {key: value for key, value in changed.items() if key != "evaluate"}
        specs = [
            spec(hidden=hidden, rows=rows, epochs=epochs, seed=seed, evaluate=evaluated, **options)
            for seed in range(runs)
        ]
        self.backend: GemmBackend = gemm_backend_for(specs[0], threads=2, max_runs=max(2, runs))
        device = torch.device("cpu")
        stack = Stack([Member(str(one.seed), one) for one in specs], device)
        training = Training(stack, Data(specs[0].dataset, DATASETS, device), tuner=self.backend.thread_tuner())
        self._epochs: Iterator[Any] = training.epochs()

    def epoch(self) -> float:
        """Seconds of the next epoch."""
        self.backend.activate()
        start = time.perf_counter()
        next(self._epochs)
        return time.perf_counter() - start


def main() -> None:
    work = task()
    variants = {
        name: Variant(changed, hidden=work.hidden, runs=work.runs, rows=work.rows, epochs=work.epochs + 1)
        for name, changed in VARIANTS.items()
    }
    for variant in variants.values():
        variant.epoch()
    ratios: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(work.epochs):
        seconds = {name: variant.epoch() for name, variant in variants.items()}
        for name, value in seconds.items():
            ratios[name].append(value / seconds[PLAIN])
    print(json.dumps({"ratios": {name: statistics.median(values) for name, values in ratios.items()}}))


if __name__ == "__main__":
    main()
