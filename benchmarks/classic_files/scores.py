"""Fitwell beside scikit-learn: the same rows, preparation and objective, and how far the test scores differ.

Every file is uploaded untouched, with other test rows for each seed; a series tests on its last rows, fewer for each
seed. Fitwell reads and prepares by its defaults. The expert's pipeline gets the rows that pandas reads, split by the
same rule; that they are the same is checked by the score of guessing. The differences are paired by seed.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.classic_files.experts import BATCH, EXPERTS, HIDDEN, L2, LEARNING_RATE, Expert, expert_predictions
from benchmarks.classic_files.files import FILES
from fitwell.client import Client
from fitwell.run import Run
from service.sandbox.parsing.options import Options
from service.sandbox.parsing.splits import drawn
from service.sandbox.parsing.targets import Target

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Parts = tuple[NDArray[Any], NDArray[Any]]
SEEDS = 5
ARMS = ("linear", "mlp")
LINEAR_ROWS, MAX_LINEAR_EPOCHS, MIN_LINEAR_EPOCHS = 200_000, 300, 10
"""Rows that the linear model sees in all, which are enough to be near its minimum, and limits of its epochs."""
PREDICTED = 100
"""Rows that are predicted from their raw columns."""
SHARES = (0.2, 0.18, 0.16, 0.14, 0.12)
"""Of a series, the last rows that test, by seed."""


@dataclass(frozen=True)
class Score:
    """The scores of one model on the test rows of one seed: accuracy, or R²; and log loss, or RMSE."""

    file: str
    arm: str
    seed: int
    rows_test: int
    fitwell: float
    scikit_learn: float
    guessing: float
    fitwell_loss: float
    scikit_learn_loss: float
    guessing_loss: float


def spec_of(arm: str, expert: Expert, rows: int, seed: int) -> dict[str, Any]:
    """Return the fields of a run besides its dataset."""
    if arm == "linear":
        model: dict[str, Any] = {
            "model": {"kind": "linear"},
            "optimizer": {"kind": "adam", "lr": 0.02},
            "schedule": {"kind": "cosine"},
            "epochs": min(MAX_LINEAR_EPOCHS, max(MIN_LINEAR_EPOCHS, LINEAR_ROWS // rows)),
            "batch_size": BATCH,
        }
    else:
        model = {
            "model": {"kind": "mlp", "hidden": [HIDDEN], "init": "xavier_uniform"},
            "optimizer": {"kind": "adam", "lr": LEARNING_RATE},
            "epochs": expert.epochs,
            "batch_size": BATCH,
        }
    penalty = {"kind": "l2", "strength": L2}
    return {**model, "regularizers": [penalty], "seed": seed, "evaluate": {"test": "last_epoch", "train": "never"}}


def split_of(expert: Expert, y: NDArray[Any], options: Mapping[str, Any]) -> Parts:
    """Return the training rows and the test rows, by the rule of the service."""
    if expert.own_test:
        return np.arange(len(y) - expert.own_test), np.arange(len(y) - expert.own_test, len(y))
    classes, codes = np.unique(y, return_inverse=True) if expert.task == "classification" else (np.array([]), y)
    names = ("test_size", "order", "seed")
    parts = drawn(
        Target(expert.task, codes, tuple(map(str, classes)), ""),
        len(y),
        Options(**{name: options[name] for name in names if name in options}),
    )
    return parts.train, parts.test


def score(client: Client, name: str, seeds: Sequence[int], folder: Path) -> Iterator[Score]:
    """Upload a file, train both models for each seed, and yield their scores."""
    file, expert = FILES[name], EXPERTS[name]
    path = folder / file.name
    path.write_bytes(file.content())
    inputs, y = expert.table(path.read_bytes())
    known = np.flatnonzero(~_is_missing(y))
    inputs, y = inputs.iloc[known], y[known]
    runs: list[tuple[int, str, dict[str, Any], Run[Any]]] = []
    for seed in seeds:
        options = {**file.options, "seed": seed} | ({"test_size": SHARES[seed]} if "order" in file.options else {})
        dataset = client.datasets.upload(path, **options)
        spec = {**dataset.spec, "validation_size": 0}
        runs += [
            (
                seed,
                arm,
                options,
                client.runs.create(
                    dataset=spec, allow_test_selection=True, **spec_of(arm, expert, dataset.rows_train, seed)
                ),
            )
            for arm in ARMS
        ]
    raw = expert.read(path.read_bytes()).iloc[known]
    for seed, arm, options, run in runs:
        train, test = split_of(expert, y, options)
        if seed == seeds[0] and not expert.images:
            check_predictions(client, run.wait(), raw.iloc[test[:PREDICTED]])
        theirs = expert_predictions(expert, inputs, y, train, test, arm, seed)
        yield _score(name, arm, seed, run.wait(), theirs, y, (train, test))


def check_predictions(client: Client, run: Run[Any], raw: pd.DataFrame) -> None:
    """Check that raw rows, as pandas reads them, get the predictions of the same test rows of the dataset."""
    dataset = run.spec["dataset"]["id"]
    inputs = [column.name for column in client.datasets.get(dataset).columns or () if column.role == "input"]
    answers = (
        run.predict(raw[[name for name in inputs if name in raw]]),
        run.predict(split="test", indices=range(len(raw))),
    )
    ours, stored = (one.predictions or one.probabilities for one in answers)
    np.testing.assert_allclose(np.array(ours, float), np.array(stored, float), rtol=1e-5, atol=1e-6)


def _is_missing(y: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isnan(y) if y.dtype.kind == "f" else np.zeros(len(y), bool)


def _score(name: str, arm: str, seed: int, run: Run[Any], theirs: Floats, y: NDArray[Any], parts: Parts) -> Score:
    from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error

    train, test = parts
    truth, last = y[test], {metric: values[-1] for metric, values in run.refresh().history.series.items()}
    if y.dtype.kind == "f":
        guesses = y[test - 1] if "order" in FILES[name].options else np.full(len(test), y[train].mean())
        ours = last["test.r2"], last["test.rmse"]
        return _checked(
            Score(
                *(name, arm, seed, len(test), ours[0], r2_score(truth, theirs), r2_score(truth, guesses)),
                *(ours[1], root_mean_squared_error(truth, theirs), root_mean_squared_error(truth, guesses)),
            ),
            (run.baseline or {}).get("test.rmse_last_value" if "order" in FILES[name].options else "test.rmse"),
        )
    classes, counts = np.unique(y[train], return_counts=True)
    predicted, prior = classes[theirs.argmax(1)], np.tile(counts / len(train), (len(test), 1))
    return _checked(
        Score(
            *(name, arm, seed, len(test), last["test.accuracy"], accuracy_score(truth, predicted)),
            *(float(np.mean(truth == classes[counts.argmax()])), last["test.loss"]),
            *(log_loss(truth, theirs, labels=classes), log_loss(truth, prior, labels=classes)),
        ),
        (run.baseline or {}).get("test.loss"),
    )


def _checked(score: Score, baseline: float | None) -> Score:
    """Check that guessing scores the same in the service and here: training and test rows are the same."""
    assert baseline is not None
    np.testing.assert_allclose(score.guessing_loss, baseline, rtol=1e-5, err_msg=f"rows of {score.file} differ")
    return score


def write_scores(client: Client, target: Path, names: Sequence[str]) -> None:
    """Score all files, write every score, and print a row of a Markdown table for each model."""
    print("| file | model | guessing | Fitwell | scikit-learn | difference | seconds |")
    print("|---|---|---|---|---|---|---|")
    existing = list(csv.DictReader(target.open())) if target.exists() else []
    rows: list[Mapping[str, Any]] = [row for row in existing if row["file"] not in names]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            began = time.monotonic()
            scores = list(score(client, name, range(SEEDS), Path(folder)))
            for arm in ARMS:
                print(_row(name, [one for one in scores if one.arm == arm], time.monotonic() - began), flush=True)
            rows += [{k: f"{v:.5f}" if isinstance(v, float) else v for k, v in asdict(one).items()} for one in scores]
            with target.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(asdict(scores[0])), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def _row(name: str, scores: Sequence[Score], seconds: float) -> str:
    ours, theirs = ([getattr(one, side) for one in scores] for side in ("fitwell", "scikit_learn"))
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    error = stdev(differences) / len(differences) ** 0.5
    guessing = mean(one.guessing for one in scores)
    return (
        f"| {name} | {scores[0].arm} | {guessing:.3f} | {mean(ours):.4f} | {mean(theirs):.4f} | "
        f"{mean(differences):+.4f} ± {error:.4f} | {seconds:.0f} |"
    )
