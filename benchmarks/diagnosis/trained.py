"""Small real runs: eight of each kind, whose mean test loss over twice the epochs is the truth behind each."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.numpy import save
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from benchmarks.diagnosis.labels import Truth, label
from worker.engine.baseline import baselines_of
from worker.engine.knn import data_for
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec.run import RunSpec
from worker.spec.stop_policy import StopPolicy

SEEDS = 8
CPU = torch.device("cpu")
WINDOW_SHARE = 0.1
"""The truth is smoothed by the mean over this share of the epochs, at least three."""


class Kind(NamedTuple):
    """A kind of runs: changes of ``BASE``."""

    name: str
    source: str
    dataset: dict[str, Any]
    epochs: int
    changes: dict[str, Any]
    stop: Sequence[dict[str, Any]] = ()
    seeds: Sequence[int] = (0,)
    """The seeds whose curves enter the set."""


BASE: dict[str, Any] = {
    "model": {"kind": "mlp", "hidden": [128, 128]}, "optimizer": {"kind": "sgd", "lr": 0.1}, "batch_size": 32,
    "evaluate": {"test": "every_epoch"},
}  # fmt: skip
DIGITS: dict[str, Any] = {"kind": "digits", "train_size": 200, "validation_size": 288}
MNIST1D: dict[str, Any] = {"kind": "mnist1d", "train_size": 1000, "validation_size": 500}
FASHION: dict[str, Any] = {"kind": "fashion_mnist", "train_size": 1000, "validation_size": 500}
LINEAR: dict[str, Any] = {"kind": "linear", "train_size": 100, "validation_size": 200, "features": 40, "noise": 3.0}
KNN: dict[str, Any] = {"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64}
SMALL: dict[str, Any] = {"model": {"kind": "linear"}}
REGULARIZED: dict[str, Any] = {"regularizers": [{"kind": "dropout", "p": 0.4}, {"kind": "l2", "strength": 1e-3}]}


def rate(lr: float, **more: Any) -> dict[str, Any]:
    """Return a change of the learning rate."""
    return {"optimizer": {"kind": "sgd", "lr": lr}, **more}


def kinds(home: Path) -> Sequence[Kind]:
    """Return all kinds; uploads are written below ``home``."""
    wine, cancer, diabetes = load_wine(), load_breast_cancer(), load_diabetes()
    classes = {"validation_size": 50}
    tables = {
        "wine": {**upload(home, wine.data, wine.target), **classes},
        "cancer": {**upload(home, cancer.data, cancer.target), "validation_size": 120},
        "diabetes": {**upload(home, diabetes.data, diabetes.target), "validation_size": 100},
    }
    walk = np.cumsum(np.random.default_rng(1).normal(size=400))
    unrelated = np.random.default_rng(2).normal(size=(400, 5))
    tables["unrelated"] = {**upload(home, unrelated, walk * 0 + np.random.default_rng(3).normal(size=400)), **classes}
    noisy = {**DIGITS, "train_size": 300}
    return (
        Kind("digits, 15 epochs", "digits", DIGITS, 15, {}, seeds=(0, 1)),
        Kind("digits, 40 epochs", "digits", DIGITS, 40, {}, seeds=(0, 1)),
        Kind("digits, 100 epochs", "digits", DIGITS, 100, {}, seeds=(0, 1)),
        Kind("digits, slow", "digits", DIGITS, 20, rate(0.005), seeds=(0, 1)),
        Kind("digits, slow, 60 epochs", "digits", DIGITS, 60, rate(0.005)),
        Kind("digits, 1000 rows", "digits", {**DIGITS, "train_size": 1000}, 30, {}, seeds=(0, 1)),
        Kind("digits, regularized", "digits", DIGITS, 60, REGULARIZED, seeds=(0, 1)),
        Kind("digits, linear", "digits", DIGITS, 60, SMALL),
        Kind("digits, linear, slow", "digits", DIGITS, 30, rate(0.01, **SMALL)),
        Kind("digits, label noise 0.3", "digits", {**noisy, "label_noise": 0.3}, 60, {}, seeds=(0, 1)),
        Kind("digits, label noise 0.9", "digits", {**noisy, "label_noise": 0.9}, 80, {}, seeds=(0, 1)),
        Kind("digits, imbalance 50", "digits", {**noisy, "imbalance": 50.0}, 60, {}, seeds=(0, 1)),
        Kind("digits, no learning", "digits", DIGITS, 20, rate(1e-6), seeds=(0, 1)),
        Kind("digits, too fast", "digits", DIGITS, 20, rate(1e3), seeds=(0, 1)),
        Kind("digits, early stopping", "digits", DIGITS, 100, {}, [{"kind": "early_stopping", "patience": 5}], (0, 1)),
        Kind("digits, patience 20", "digits", DIGITS, 200, {}, [{"kind": "early_stopping", "patience": 20}], (0, 1)),
        Kind("digits, 80 steps", "digits", DIGITS, 60, rate(0.01), [{"kind": "max_steps", "steps": 80}]),
        Kind("digits, down to 0.1", "digits", DIGITS, 60, {}, [{"kind": "train_loss_below", "threshold": 0.1}]),
        Kind("digits, kNN to 60", "digits", DIGITS, 60, KNN, seeds=(0, 1)),
        Kind("digits, kNN to 20", "digits", {**DIGITS, "train_size": 1000}, 20, KNN),
        Kind("mnist1d, kNN to 12", "mnist1d", MNIST1D, 12, KNN),
        Kind("mnist1d, kNN to 150", "mnist1d", {**MNIST1D, "train_size": 500}, 150, KNN),
        Kind("mnist1d, 20 epochs", "mnist1d", MNIST1D, 20, {}, seeds=(0, 1)),
        Kind("mnist1d, 60 epochs", "mnist1d", MNIST1D, 60, {}, seeds=(0, 1)),
        Kind("mnist1d, slow", "mnist1d", MNIST1D, 30, rate(0.02), seeds=(0, 1)),
        Kind("mnist1d, linear", "mnist1d", MNIST1D, 60, rate(0.1, **SMALL)),
        Kind("mnist1d, label noise 0.9", "mnist1d", {**MNIST1D, "label_noise": 0.9}, 100, {}),
        Kind("fashion, 10 epochs", "fashion_mnist", FASHION, 10, rate(0.02), seeds=(0, 1)),
        Kind("fashion, 20 epochs", "fashion_mnist", FASHION, 20, rate(0.1), seeds=(0, 1)),
        Kind("fashion, label noise 0.2", "fashion_mnist", {**FASHION, "label_noise": 0.2}, 20, {}),
        Kind("wine", "upload", tables["wine"], 40, rate(0.05), seeds=(0, 1)),
        Kind("wine, slow", "upload", tables["wine"], 15, rate(0.002)),
        Kind("cancer", "upload", tables["cancer"], 60, rate(0.1)),
        Kind("cancer, linear", "upload", tables["cancer"], 60, rate(0.05, **SMALL)),
        Kind("diabetes", "upload", tables["diabetes"], 60, rate(0.02), seeds=(0, 1)),
        Kind("diabetes, linear", "upload", tables["diabetes"], 40, rate(0.05, **SMALL)),
        Kind("unrelated inputs", "upload", tables["unrelated"], 100, rate(0.05), seeds=(0, 1)),
        Kind("unrelated inputs, linear", "upload", tables["unrelated"], 40, rate(0.01, **SMALL)),
        Kind("regression, MLP", "linear", LINEAR, 80, rate(0.01), seeds=(0, 1)),
        Kind("regression, linear", "linear", {**LINEAR, "noise": 1.0, "features": 10}, 60, rate(0.02, **SMALL)),
        Kind("regression, slow", "linear", LINEAR, 20, rate(0.001, **SMALL)),
    )


def upload(home: Path, x: Any, y: Any) -> dict[str, Any]:
    """Write an upload whose second half tests; return its dataset."""
    order = np.random.default_rng(0).permutation(len(y))
    half = len(y) // 2
    of_classes = np.issubdtype(np.asarray(y).dtype, np.integer)
    x, y = np.asarray(x, np.float32)[order], np.asarray(y, np.int64 if of_classes else np.float64)[order]
    content = save({"train_x": x[half:].copy(), "train_y": y[half:].copy(), "test_x": x[:half], "test_y": y[:half]})
    sha256 = hashlib.sha256(content).hexdigest()
    (home / "uploads").mkdir(exist_ok=True)
    (home / "uploads" / f"{sha256}.safetensors").write_bytes(content)
    facts = {
        "task": "classification" if of_classes else "regression",
        "shape": [x.shape[1]],
        "classes": [str(one) for one in np.unique(y)] if of_classes else [],
        "rows_train": len(y) - half,
        "rows_test": half,
    }
    return {"kind": "uploaded", "id": f"dataset_{sha256}", "content": facts}


def _trained(specs: Sequence[RunSpec], home: Path) -> tuple[list[dict[str, list[float]]], Any]:
    """Train a stack; return each run's series, and the baseline."""
    data = data_for([specs[0].dataset], specs[0].model, home, CPU)
    stack = Stack([Member(str(i), spec) for i, spec in enumerate(specs)], CPU)
    series: list[dict[str, list[float]]] = [{} for _ in specs]
    for results in Training(stack, data).epochs():
        for result in results:
            for name, value in result.metrics.items():
                series[int(result.member.run_id)].setdefault(name, []).append(value)
    return series, baselines_of(stack, data)[0]


def _smooth(values: Any, window: int) -> Any:
    means = np.convolve(values, np.full(window, 1 / window), mode="valid")
    return np.pad(means, window // 2, mode="edge")


def cases(work: Path, datasets: Path) -> Iterator[dict[str, Any]]:
    """Yield the curves of all kinds; ``work`` keeps those that are trained, and ``datasets`` has FashionMNIST."""
    for kind in kinds(work):
        file = work / f"{re.sub('[^a-z0-9]+', '-', kind.name.lower())}.json"
        if not file.exists():
            file.write_text(json.dumps([*_cases_of(kind, *_series(kind, work, datasets))]))
        print(file.stem, flush=True)
        yield from json.loads(file.read_text())


def _series(kind: Kind, work: Path, datasets: Path) -> tuple[RunSpec, list[dict[str, list[float]]], Any]:
    """Train the runs of a kind for twice its epochs; return its spec, each run's series, and the baseline."""
    body = {**BASE, **kind.changes, "dataset": kind.dataset, "epochs": 2 * kind.epochs}
    home = work if kind.dataset["kind"] == "uploaded" else datasets
    spec = RunSpec.of({**body, "stop": list(kind.stop)})
    if spec.model.trains:
        return spec, *_trained([RunSpec.of({**body, "seed": seed}) for seed in range(SEEDS)], home)
    # Nearest neighbors draw nothing: other splits take the place of other seeds.
    bodies = [{**body, "dataset": {**kind.dataset, "split_seed": seed}} for seed in range(SEEDS)]
    trained = [_trained([RunSpec.of(one)], home) for one in bodies]
    return spec, [series[0] for series, _ in trained], trained[0][1]


def _cases_of(
    kind: Kind, spec: RunSpec, series: Sequence[Mapping[str, Sequence[float]]], baseline: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """Yield the curves of one kind, each ended by its stop rules."""
    simpler = not spec.model.trains
    uniform = math.log(len(spec.dataset.classes)) if spec.dataset.classes else 0.0
    whole = [one["test.loss"] for one in series if len(one["test.loss"]) == 2 * kind.epochs]
    for seed in kind.seeds:
        one = series[seed]
        end = _end(kind, spec, one)
        train, held_out = (np.array(one[name][:end]) for name in ("train.loss_eval", "val.loss"))
        finite = bool(np.isfinite(train).all() and np.isfinite(held_out).all())
        diverged = not finite or train[-1] > 2 * max(uniform, baseline["train.loss"])
        perfect = (
            [bool(uniform and not simpler and run["train.error_eval"][end - 1] == 0) for run in series]
            if finite
            else []
        )
        expected: str | None = "diverged"
        if not diverged:
            mean, window = np.mean(whole, axis=0), max(3, round(WINDOW_SHARE * end)) | 1
            level = float(np.mean([run["train.loss_eval"][end - 1] for run in series]))
            truth = Truth(
                level, _smooth(mean[:end], window), _smooth(mean, window), baseline["test.loss"],
                baseline["train.loss"], all(perfect), simpler=simpler,
            )  # fmt: skip
            expected = label(truth)
        yield {
            "name": f"{kind.name}, seed {seed}", "source": kind.source, "expected": expected,
            "train": _plain(train), "held_out": _plain(held_out), "guessing": baseline["val.loss"],
            "train_guessing": baseline["train.loss"], "uniform": uniform, "simpler": simpler,
            "perfect": bool(perfect and perfect[seed]),
        }  # fmt: skip


def _end(kind: Kind, spec: RunSpec, series: Mapping[str, Sequence[float]]) -> int:
    """Return the epoch after which a run of the kind ends, by its stop rules or its epochs."""
    last = min(kind.epochs, len(series["train.loss"]))
    if not kind.stop:
        return last
    policy = StopPolicy(spec)
    ends = (n for n in range(1, last) if policy.ending(n, {name: values[:n] for name, values in series.items()}))
    return next(ends, last)


def _plain(values: Any) -> list[float | None]:
    """Return numbers for JSON; None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
