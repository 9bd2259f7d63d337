"""Simulated learning curves: coverage of three kinds of intervals, and errors of the verdicts.

    python -m benchmarks.learning_curves coverage
    python -m benchmarks.learning_curves verdicts
    python -m benchmarks.learning_curves train docs/science/learning_curves.csv

The first two print tables in Markdown of simulated curves whose law is known. The last trains two studies on a server
in a temporary directory, writes their losses and prints what the service says of them.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fitwell.client import Client
from fitwell.local import LocalServer, free_port
from fitwell.study import Study
from service.statistics.learning_curve import GAIN, LearningCurveQuestion, learning_curve
from service.statistics.power_law import (
    ASYMPTOTE,
    EXPONENTS,
    Law,
    Quantity,
    SizedCosts,
    basis,
    critical_t,
    fit,
    fit_linear,
    fit_under,
    score_statistics,
)
from service.statistics.sign_flip import Floats

ALPHA, SIMULATIONS, RESAMPLES, VERDICTS = 0.05, 400, 200, 300
QUANTITIES = {"gain": GAIN, "at 2×": Quantity(2.0), "at 4×": Quantity(4.0), "asymptote": ASYMPTOTE}
LAWS = {
    "0.2 + 0.1·x^−0.5": Law("power", 0.2, 0.1, 0.5, 0.0),
    "0.3·x^−0.3": Law("power", 0.0, 0.3, 0.3, 0.0),
    "0.25 + 0.05·x^−1.5": Law("power", 0.25, 0.05, 1.5, 0.0),
    "0.3 (flat)": Law("power", 0.3, 0.0, 1.0, 0.0),
}


@dataclass(frozen=True)
class Design:
    """A simulated study: sizes that double, replicates, correlation of sizes within a replicate, and tails."""

    sizes: int
    replicates: int
    correlation: float
    heavy: bool = False
    noise: float = 0.02

    def simulate(self, truth: Law, rng: np.random.Generator) -> SizedCosts:
        """Return costs whose noise grows toward small sizes, as n^(−0.3)."""
        sizes = np.array([50.0 * 2**step for step in range(self.sizes)])
        x = sizes / sizes[-1]
        shape = (self.replicates, self.sizes)
        draw = (lambda s: rng.standard_t(3, s) / 3**0.5) if self.heavy else rng.standard_normal
        mixed = self.correlation**0.5 * draw((shape[0], 1)) + (1 - self.correlation) ** 0.5 * draw(shape)
        return SizedCosts(sizes, truth.at(x) + np.asarray(self.noise * x**-0.3 * mixed, dtype=np.float64))


DESIGNS = [
    Design(5, 3, 0.6), Design(5, 8, 0.6), Design(5, 8, 0.0), Design(6, 16, 0.6), Design(5, 8, 0.6, heavy=True),
]  # fmt: skip


def print_coverage() -> None:
    """Print how often 95 % intervals cover, by the score test, the profile likelihood and the bootstrap."""
    print(f"\n| law | sizes | replicates | ρ | noise | {' | '.join(QUANTITIES)} |")
    print("|---" * (5 + len(QUANTITIES)) + "|")
    for name, truth in LAWS.items():
        for design in DESIGNS:
            covered = coverage(truth, design)
            cells = [" / ".join(f"{100 * rate:.0f}" for rate in rates) for rates in covered]
            noise = f"{design.noise:g}{', t₃' if design.heavy else ''}"
            print(
                f"| {name} | {design.sizes} | {design.replicates} | {design.correlation:g} | {noise} | "
                f"{' | '.join(cells)} |",
                flush=True,
            )


def coverage(truth: Law, design: Design) -> Floats:
    """Return the coverage (quantities, 3) of the score test, the profile likelihood and the percentile bootstrap."""
    rng, critical = np.random.default_rng(0), critical_t(design.replicates, ALPHA)
    covered = np.zeros((len(QUANTITIES), 3))
    for _ in range(SIMULATIONS):
        data = design.simulate(truth, rng)
        least, resampled = fit(data).chi2, bootstrap(data, rng)
        for row, quantity in zip(covered, QUANTITIES.values(), strict=True):
            value = quantity.of(truth)
            row[0] += abs(score_statistics(data, quantity, np.array([value]))[0]) <= critical
            row[1] += profile(data, quantity, value) - least <= critical**2
            a, beta, c = resampled
            low, high = np.quantile(quantity.level * a + beta * quantity.share(c), [ALPHA / 2, 1 - ALPHA / 2])
            row[2] += low - 1e-9 <= value <= high + 1e-9
    return covered / SIMULATIONS


def profile(data: SizedCosts, quantity: Quantity, value: float) -> float:
    """Return the least χ² under the hypothesis that the quantity has this value."""
    c = EXPONENTS
    for _ in range(4):
        chi2 = data.replicates * fit_under(data, quantity, np.array([[value]]), c[None])[2][0]
        best = int(chi2.argmin())
        c = np.geomspace(c[max(best - 1, 0)], c[min(best + 1, len(c) - 1)], 33)
    return float(chi2.min())


def bootstrap(data: SizedCosts, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return a, β and c of the laws of means over resampled replicates, with the weights of the data."""
    means = data.costs[rng.integers(0, data.replicates, (RESAMPLES, data.replicates))].mean(1)
    rows, c = np.arange(RESAMPLES), np.broadcast_to(EXPONENTS, (RESAMPLES, len(EXPONENTS)))
    for _ in range(3):
        a, beta, chi2 = fit_linear(means[:, None], 1 / data.variances, basis("power", data.x, c))
        best = chi2.argmin(-1)
        chosen = a[rows, best], beta[rows, best], c[rows, best]
        ends = c[rows, np.maximum(best - 1, 0)], c[rows, np.minimum(best + 1, c.shape[1] - 1)]
        c = np.geomspace(*ends, 17, axis=-1)
    return chosen


def print_verdicts() -> None:
    """Print how often each verdict is given, by the gain in units of the minimal effect."""
    effect = 0.01
    print("\n| gain / minimal effect | replicates | more_data_helps | saturated | undecided | law refuted |")
    print("|---" * 6 + "|")
    for ratio in (0.0, 0.5, 1.0, 2.0):
        for replicates in (4, 8, 16):
            rng, design = np.random.default_rng(1), Design(5, replicates, 0.6, noise=0.01)
            truth = Law("power", 0.2, ratio * effect / (1 - 2**-0.5), 0.5, 0.0)
            question = LearningCurveQuestion(lower_is_better=True, alpha=ALPHA, min_effect=effect)
            verdicts, refuted = [], 0
            for _ in range(VERDICTS):
                data = design.simulate(truth, rng)
                curve = learning_curve([round(n) for n in data.sizes], data.costs, question)
                verdicts.append(curve.verdict)
                refuted += curve.gain is None
            rates = [verdicts.count(name) / VERDICTS for name in ("more_data_helps", "saturated", "undecided")]
            cells = " | ".join(f"{rate:.3f}" for rate in [*rates, refuted / VERDICTS])
            print(f"| {ratio:g} | {replicates} | {cells} |", flush=True)


STEPS = {"kind": "max_steps", "steps": 1500}
STUDIES: dict[str, dict[str, Any]] = {
    "digits": {
        "base": {
            "dataset": {"kind": "digits", "validation_size": 400},
            "model": {"kind": "mlp", "hidden": [64]},
            "optimizer": {"kind": "adam", "lr": 0.003},
            "batch_size": 32,
            "epochs": 1500,
            "stop": [STEPS],
        },
        "grid": {"dataset.train_size": [32, 64, 128, 256, 512, 1024]},
        "replicates": {"n": 8},
    },
    "mnist1d": {
        "base": {
            "dataset": {"kind": "mnist1d", "validation_size": 1000},
            "model": {"kind": "mlp", "hidden": [100]},
            "optimizer": {"kind": "adam", "lr": 0.003},
            "batch_size": 32,
            "epochs": 500,
            "stop": [STEPS],
        },
        "grid": {"dataset.train_size": [96, 192, 384, 768, 1536, 3000]},
        "replicates": {"n": 8},
    },
}


def train(target: Path) -> None:
    """Train the studies, write the metric of all runs, and print what the service says."""
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory(prefix="fitwell-sizes-") as home:
        server = LocalServer({"FITWELL_DATA_DIR": home}, host="127.0.0.1", port=free_port(), workers=1, quiet=True)
        try:
            server.start()
            client = Client(server.url)
            for name, body in STUDIES.items():
                started = time.monotonic()
                study = client.studies.create(**body).wait()
                print(f"\n{name}: {study.progress.runs} runs in {time.monotonic() - started:.0f} s", flush=True)
                rows += [[name, *row] for row in losses(study)]
                print(study.learning_curve().model_dump_json(indent=1), flush=True)
        finally:
            server.stop()
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["dataset", "train_size", "seed", "test.loss"])
        writer.writerows(rows)


def losses(study: Study) -> list[list[Any]]:
    """Return size, seed and test loss at the best epoch of every run."""
    by = ["dataset.train_size", "seed"]
    groups = study.compare(by=by).arms
    table = [[int(part.partition("=")[2]) for part in group.id.split(", ")] + [f"{group.mean:.5f}"] for group in groups]
    return sorted(table)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]))
    else:
        {"coverage": print_coverage, "verdicts": print_verdicts}[sys.argv[1]]()
