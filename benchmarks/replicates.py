"""Verdicts of single splits against those of replicates: digits, dropout against plain, every split with every seed.

    python -m benchmarks.replicates docs/science/replicates.csv

starts a server in a temporary directory, trains the crossed study and writes the losses of all runs. Then it prints the
verdict that each split alone gives, the shares of variance, and the verdict of replicates that vary seed and split.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fitwell.client import Client
from fitwell.commands.demo import BASE
from fitwell.local import LocalServer, free_port
from fitwell.study import Study
from service.statistics.sign_flip import sign_flip_tests

SEEDS, SPLITS, ALPHA = 8, 10, 0.05
ARMS: dict[str, dict[str, Any]] = {"plain": {}, "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.5}]}}
METRICS = ("val.loss", "test.loss")


def main(target: Path) -> None:
    """Train, write all losses, and print what they say."""
    with tempfile.TemporaryDirectory(prefix="fitwell-replicates-") as home:
        server = LocalServer({"FITWELL_DATA_DIR": home}, host="127.0.0.1", port=free_port(), workers=2, quiet=True)
        try:
            server.start()
            client = Client(server.url)
            crossed = client.studies.create(
                base=BASE, arms=ARMS, replicates={"seeds": SEEDS, "splits": SPLITS}, at="last", metric="val.loss"
            ).wait()
            rows = losses(crossed)
            report_shares(crossed)
        finally:
            server.stop()
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["arm", "split", "seed", *METRICS])
        writer.writerows([*key, *(f"{value:.5f}" for value in values)] for key, values in sorted(rows.items()))
    report_verdicts(rows)


def losses(study: Study) -> dict[tuple[str, int, int], list[float]]:
    """Return the last losses of every run by arm, split and seed."""
    rows = {}
    for run in study.runs():
        key = (run.arm or "", run.spec["dataset"]["split_seed"], run.spec["seed"])
        rows[key] = [run.last[name] or np.nan for name in METRICS]
    return rows


def report_shares(study: Study) -> None:
    """Print the shares of variance and the verdict over splits."""
    for metric in METRICS:
        comparison = study.compare(metric=metric)
        (pair,) = comparison.pairs
        for name, one in [*((arm.id, arm.variance) for arm in comparison.arms), ("difference", pair.variance)]:
            assert one is not None
            print(
                metric,
                name,
                f"sd {one.total**0.5:.4f}",
                *(f"{n} {getattr(one, n):.2f}" for n in ("split", "seed", "residual")),
            )
        print(metric, pair.verdict, pair.mean_difference, pair.ci, "p", pair.p, "Nadeau-Bengio", pair.p_nadeau_bengio)


def report_verdicts(rows: dict[tuple[str, int, int], list[float]]) -> None:
    """Print the verdict of each split alone over its seeds, and of replicates i with seed i and split i."""
    for number, metric in enumerate(METRICS):
        values = {
            arm: np.array([[rows[arm, j, i][number] for i in range(SEEDS)] for j in range(SPLITS)]) for arm in ARMS
        }
        differences = values["dropout"] - values["plain"]
        vectors = [*differences, np.diagonal(differences), differences.mean(axis=1)]
        tests = sign_flip_tests(vectors, ALPHA)
        intervals = [test.interval or (np.nan, np.nan) for test in tests]
        for split in range(SPLITS):
            others = np.delete(differences.mean(axis=1), split)
            covered = np.mean([intervals[split][0] <= one <= intervals[split][1] for one in others])
            print(
                metric,
                f"split {split}",
                f"{differences[split].mean():+.4f}",
                verdict(tests[split].p, differences[split]),
                f"covers {covered:.2f}",
            )
        print(
            metric,
            "replicates 0–7",
            f"{np.diagonal(differences).mean():+.4f}",
            verdict(tests[-2].p, np.diagonal(differences)),
            intervals[-2],
        )
        print(
            metric,
            "splits",
            f"{differences.mean():+.4f}",
            verdict(tests[-1].p, differences.mean(axis=1)),
            intervals[-1],
        )


def verdict(p: float, differences: Any) -> str:
    """Return the verdict on differences of losses."""
    if p > ALPHA:
        return f"undecided (p {p:.3f})"
    return f"{'better' if differences.mean() < 0 else 'worse'} (p {p:.3f})"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
