"""Training of the studies of presets, on a server in a temporary directory.

    python -m benchmarks.presets docs/science/regularizers.csv dropout l1_and_l2 elastic_net
    python -m benchmarks.presets srivastava.csv srivastava --base '{"epochs": 10}' --study '{"seeds": 3}'

``--base`` is a merge patch of the presets' bases, ``--study`` replaces fields of their studies. The file gets the last
and best figures of every run; the arms' means, verdicts and diagnoses are printed as a table in Markdown.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fitwell.client import Client
from fitwell.comparison import Pair
from fitwell.local import LocalServer, free_port
from fitwell.run import Run
from fitwell.study import Study
from service.catalog.presets import preset
from service.runs.patches import merged
from worker.engine.gemm_backend import cpu_model

LOSSES = ("train.loss", "train.loss_eval", "val.loss", "val.error", "test.loss", "test.error", "test.rmse")
METRICS = (*LOSSES, "weights.zeros")
LAST = tuple(f"last {name}" for name in METRICS)
COLUMNS = ("preset", "arm", "seed", "split", "epochs", *LAST, "best epoch", "best value")


def main() -> None:
    """Train the studies that the command names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--base", type=json.loads, default={}, help="JSON: a merge patch of the base")
    parser.add_argument("--study", type=json.loads, default={}, help="JSON: fields that replace those of the study")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {cpu_model()}", flush=True)
    begun = arguments.file.exists()
    with tempfile.TemporaryDirectory(prefix="fitwell-presets-") as home, arguments.file.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not begun:
            writer.writerow(COLUMNS)
        settings, port = {"FITWELL_DATA_DIR": home}, free_port()
        server = LocalServer(settings, host="127.0.0.1", port=port, workers=arguments.workers, quiet=True)
        try:
            server.start()
            for name in arguments.presets:
                study = _trained(Client(server.url), name, arguments.base, arguments.study)
                writer.writerows(_rows(name, study.runs()))
                file.flush()
        finally:
            server.stop()


def _trained(client: Client, name: str, base: Mapping[str, Any], fields: Mapping[str, Any]) -> Study:
    """Train a preset's study and print its table."""
    body = {**(preset(name).study or {}), **fields}
    start = time.perf_counter()
    study = client.studies.create(**{**body, "base": merged(body["base"], base)}).wait()
    print(f"\n## {name}: {study.progress.runs} runs in {time.perf_counter() - start:.0f} s\n", flush=True)
    _print_table(study)
    return study


def _print_table(study: Study) -> None:
    """Print the arms with means over seeds, the comparison with the baseline, and the diagnosis."""
    by_arm: dict[str, list[Run]] = {arm.id: [] for arm in study.arms}
    for run in study.runs():
        by_arm[run.arm or ""].append(run)
    every = [run for runs in by_arm.values() for run in runs]
    names = [name for name in METRICS if any(run.last.get(name) is not None for run in every)]
    comparison, diagnoses = study.compare(), {arm.arm: arm for arm in study.diagnosis().arms}
    question = f"{comparison.at} {comparison.metric}: difference"
    print("|", " | ".join(["arm", *names, "best epoch", question, "p", "verdict", "diagnosis"]), "|")
    print("|---" * (len(names) + 6) + "|")
    for arm, runs in by_arm.items():
        cells = [_spread(run.last.get(metric) for run in runs) for metric in names]
        best = [run.best.epoch for run in runs if run.best]
        middle = str(round(statistics.median(best))) if best else "–"
        compared = _compared(comparison.pair_of_each_arm.get(arm))
        print("|", " | ".join([arm, *cells, middle, *compared, diagnoses[arm].verdict]), "|")
    print("\n", *(f"{arm}: {one.explanation}\n" for arm, one in diagnoses.items()), flush=True)


def _spread(values: Iterable[Any]) -> str:
    """Return the mean and standard deviation of the values that exist."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return "–"
    return f"{statistics.fmean(numbers):.4f}" + (f" ± {statistics.stdev(numbers):.4f}" if len(numbers) > 1 else "")


def _compared(pair: Pair | None) -> list[str]:
    """Return the difference from the baseline, its p and the verdict."""
    if pair is None or pair.mean_difference is None:
        return ["", "", ""]
    return [f"{pair.mean_difference:+.4f} ± {pair.std or 0:.4f}", f"{pair.p_adjusted or 0:.4f}", pair.verdict]


def _rows(name: str, runs: Iterable[Run]) -> list[list[Any]]:
    """Return a row of the file for each run, in order."""
    rows = []
    for run in runs:
        last = [f"{value:.5f}" if (value := run.last.get(metric)) is not None else "" for metric in METRICS]
        best = [run.best.epoch, f"{run.best.value:.5f}"] if run.best else ["", ""]
        seed, split = run.spec["seed"], run.spec["dataset"].get("split_seed", "")
        rows.append([name, run.arm, seed, split, run.progress.epoch, *last, *best])
    return sorted(rows, key=lambda row: (str(row[1]), row[3], row[2]))


if __name__ == "__main__":
    main()
