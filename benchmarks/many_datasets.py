"""Comparisons over many datasets: a real study on six, and how often intervals and verdicts err in simulations.

    python -m benchmarks.many_datasets train docs/science/many_datasets.csv
    python -m benchmarks.many_datasets simulate

The first starts a server in a temporary directory, uploads three tables of scikit-learn, trains four arms on six
datasets and writes the loss of every run. The second needs no server.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitwell.client import Client
from fitwell.local import LocalServer, free_port
from fitwell.study import Study
from fitwell.terminal.across_tables import across_notes, across_pairs_table, aggregates_table, datasets_table
from fitwell.terminal.console import wide_console
from service.statistics.across import StratifiedBootstrap
from service.statistics.ranks import compare_ranks, signed_rank_tests

Floats = NDArray[np.float64]
REPLICATES = 8
BASE: dict[str, Any] = {
    "dataset": {"train_size": 80, "validation_size": 30},
    "model": {"kind": "mlp", "hidden": [128, 128]},
    "optimizer": {"kind": "momentum", "lr": 0.05},
    "batch_size": 20,
    "epochs": 60,
}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.4}]},
    "l2": {"regularizers_add": [{"kind": "l2", "strength": 0.01}]},
    "smoothing": {"regularizers_add": [{"kind": "label_smoothing", "amount": 0.1}]},
}
BUILT_IN = ("digits", "mnist1d", "fashion_mnist")
TABLES = ("iris", "wine", "breast_cancer")
STUDIES = 1000
"""Simulated studies of each kind; the simulation error of a share of 0.05 is 0.007."""


def train(target: Path) -> None:
    """Train the study, print the comparison over its datasets, and write the loss of every run."""
    with tempfile.TemporaryDirectory(prefix="fitwell-datasets-") as home:
        server = LocalServer({"FITWELL_DATA_DIR": home}, host="127.0.0.1", port=free_port(), workers=2, quiet=True)
        try:
            server.start()
            study = train_study(Client(server.url), Path(home))
            report(study, target)
        finally:
            server.stop()


def report(study: Study, target: Path) -> None:
    """Print the comparison over the datasets, and write the loss of every run."""
    across = study.across_datasets(pairs="all")
    for table in (datasets_table(across), aggregates_table(across), across_pairs_table(across)):
        wide_console().print(table)
    print(across_notes(across), across.ranks)
    rows = [(run.arm or "", run.spec["seed"], run.best, run.history) for run in study.runs()]
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["arm", "replicate", "test.loss"])
        for arm, seed, best, history in sorted(rows, key=lambda row: row[:2]):
            epoch = 0 if best is None else best.epoch
            writer.writerow([arm, seed, f"{history['test.loss'][epoch - 1]:.5f}"])


def train_study(client: Client, folder: Path) -> Study:
    """Upload the tables and train every arm on every dataset."""
    datasets: dict[str, Any] = {name: {"kind": name} for name in BUILT_IN}
    datasets |= {name: client.datasets.upload(write_table(name, folder)).spec for name in TABLES}
    replicates = {"n": REPLICATES, "vary": ["seed", "split"]}
    return client.studies.create(
        name="regularizers on six datasets", base=BASE, arms=ARMS, datasets=datasets, replicates=replicates
    ).wait()


def write_table(name: str, folder: Path) -> Path:
    """Write a table of scikit-learn as CSV, with the class as the last column."""
    from sklearn import datasets

    table, path = getattr(datasets, f"load_{name}")(), folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{i}" for i in range(table.data.shape[1])), "class"])
        writer.writerows([*row, table.target_names[label]] for row, label in zip(table.data, table.target, strict=True))
    return path


Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
NOISES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "lognormal": lambda rng, shape: rng.lognormal(sigma=1.5, size=shape),
    "ties": lambda rng, shape: rng.integers(0, 4, shape).astype(float),
    "t, 2 degrees": lambda rng, shape: rng.standard_t(2, shape),
}
DIFFERENCES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "lognormal": lambda rng, shape: rng.lognormal(size=shape) - np.exp(0.5),
}
"""Differences of mean 0, of which only the first are symmetric."""


def simulate() -> None:
    """Print family errors of rank groups, the power of the signed-rank test, and the coverage of intervals."""
    rng = np.random.default_rng(0)
    for arms, datasets, ahead in ((3, 6, 0), (4, 8, 0), (6, 12, 0), (8, 12, 0), (4, 8, 2), (6, 12, 3)):
        errors = {name: family_error(rng, draw, arms, datasets, ahead) for name, draw in NOISES.items()}
        print(f"{arms} arms, {ahead} of them ahead, {datasets} datasets: family error", errors)
    for datasets in (6, 8, 10, 12, 20):
        print(f"{datasets} datasets: power", {effect: power(rng, datasets, effect) for effect in (1.0, 1.5, 2.0)})
    skewed = np.random.default_rng(1)
    for datasets in (6, 8, 12, 20):
        errors = {name: skewed_error(skewed, draw, datasets) for name, draw in DIFFERENCES.items()}
        print(f"{datasets} datasets: error of one pair", errors)
    for replicates in (3, 5, 10, 20, 50):
        print(f"{replicates} replicates: coverage", coverage(rng, replicates))


def family_error(rng: np.random.Generator, draw: Draw, arms: int, datasets: int, ahead: int) -> float:
    """Return the share of studies that separate two arms that do not differ; the last arms are ``ahead``."""
    wrong = 0
    for _ in range(STUDIES):
        scores = draw(rng, (datasets, arms))
        scores[:, arms - ahead :] += 3
        groups = compare_ranks(scores, 0.05, "max_t").groups
        equal = [frozenset(range(arms - ahead)), frozenset(range(arms - ahead, arms))]
        wrong += any(len(one) > 1 and not any(one <= set(group) for group in groups) for one in equal)
    return wrong / STUDIES


def skewed_error(rng: np.random.Generator, draw: Draw, datasets: int) -> float:
    """Return the share of studies that call two arms different whose differences have mean 0."""
    scores = (np.column_stack([np.zeros(datasets), draw(rng, (datasets,))]) for _ in range(STUDIES))
    return sum(signed_rank_tests(one, [(1, 0)], "max_t")[0].p <= 0.05 for one in scores) / STUDIES


def power(rng: np.random.Generator, datasets: int, effect: float, arms: int = 3) -> dict[str, float]:
    """Return the share of ``arms`` that are found better than a baseline by ``effect`` standard deviations each.

    They are those of the differences; ``single`` is the share for one arm alone.
    """
    pairs = [(arm, 0) for arm in range(1, arms + 1)]
    detected = dict.fromkeys(("single", "max_t", "holm"), 0.0)
    for _ in range(STUDIES):
        scores = rng.standard_normal((datasets, arms + 1))
        scores[:, 1:] += effect * np.sqrt(2)
        tests = signed_rank_tests(scores, pairs, "max_t")
        detected["single"] += sum(test.p <= 0.05 for test in tests) / arms
        detected["max_t"] += sum(test.p_adjusted <= 0.05 for test in tests) / arms
        detected["holm"] += sum(test.p_holm <= 0.05 for test in tests) / arms
    return {name: round(count / STUDIES, 3) for name, count in detected.items()}


def coverage(rng: np.random.Generator, replicates: int, datasets: int = 6) -> dict[str, float]:
    """Return the share of studies whose 95 % interval contains the value that a study of many replicates has."""
    levels = np.linspace(0.3, 0.9, datasets)

    def tables(count: int) -> list[Floats]:
        shared = rng.normal(0, 0.05, (datasets, 1, count))
        own = rng.normal(0, 0.05, (datasets, 2, count)) + np.array([0.03, 0.0])[:, None]
        return list(np.clip(levels[:, None, None] + shared + own, 0, 1))

    truth = _estimates(StratifiedBootstrap(tables(4000), resamples=1))
    hits = dict.fromkeys(truth, 0)
    for _ in range(STUDIES):
        for name, (low, high) in _intervals(StratifiedBootstrap(tables(replicates), resamples=500)).items():
            hits[name] += int(low <= truth[name] <= high)
    return {name: hits[name] / STUDIES for name in truth}


def _statistics(bootstrap: StratifiedBootstrap) -> dict[str, Any]:
    aggregates = bootstrap.aggregates(0)
    return {
        "iqm": aggregates.iqm,
        "mean": aggregates.mean,
        "median": aggregates.median,
        "improvement": bootstrap.probability_of_improvement(0, 1),
    }


def _estimates(bootstrap: StratifiedBootstrap) -> dict[str, float]:
    return {name: one.value for name, one in _statistics(bootstrap).items()}


def _intervals(bootstrap: StratifiedBootstrap) -> dict[str, tuple[float, float]]:
    return {name: one.interval or (np.nan, np.nan) for name, one in _statistics(bootstrap).items()}


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]))
    else:
        simulate()
