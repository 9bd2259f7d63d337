"""k nearest neighbours on the whole of FashionMNIST, Fitwell and scikit-learn in turn; writes a dated result.

    python -m benchmarks.nearest --rounds 5 --threads 2

Where other programs use the processors, seconds of processor time on one thread say more than those of the clock.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
from typing import Any

from benchmarks.engine import RESULTS, machine
from benchmarks.running import Program, measure

GOAL_SECONDS = 60.0
WORKS = {
    "run": "Fitwell, a whole run: neighbours of 10,000 training and 10,000 test rows, errors for every k up to 50",
    "search": "Fitwell, the 50 neighbours of 10,000 test rows",
    "scikit-learn-32": "scikit-learn, the same from float32 rows",
    "scikit-learn-64": "scikit-learn, the same from float64 rows",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    for _ in range(arguments.rounds):
        results = {
            work: measure(Program("nearest", flags=(f"--work={work}", f"--threads={arguments.threads}")))
            for work in WORKS
        }
        rounds.append(results)
        print(
            {work: [round(one["seconds"], 1), round(one["cpu_seconds"], 1)] for work, one in results.items()},
            flush=True,
        )
        write(rounds, arguments.threads)


def write(rounds: list[dict[str, Any]], threads: int) -> None:
    """The result as it is after these rounds."""
    load = os.getloadavg()[2]
    lines = ["| work | seconds | of processor time | that of Fitwell's search | peak MiB |", "|---|---|---|---|---|"]
    lines += [_row(rounds, work) for work in WORKS]
    median = statistics.median(one["run"]["seconds"] for one in rounds)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("torch", "scikit-learn", "numpy").items())
    head = [
        f"# k nearest neighbours on FashionMNIST, 60,000 × 10,000, {today}",
        "",
        f"{hardware}. {threads} thread(s); {len(rounds)} rounds, the programs in turn, each in a process of its "
        f"own; medians (min–max). Load average of the last 15 minutes: {load:.1f}. Goal for a whole run: "
        f"{GOAL_SECONDS:.0f} s, {'met' if median < GOAL_SECONDS else 'not met'}. "
        "Made by `python -m benchmarks.nearest`.",
        "",
    ]
    (RESULTS / f"{today}-nearest.md").write_text("\n".join([*head, *lines, ""]))


def _row(rounds: list[dict[str, Any]], work: str) -> str:
    """Format the times of one kind of work in all rounds."""
    ratio = statistics.median(one[work]["cpu_seconds"] / one["search"]["cpu_seconds"] for one in rounds)
    peak = max(one[work]["peak_bytes"] for one in rounds) / 2**20
    cells = []
    for clock in ("seconds", "cpu_seconds"):
        took = [one[work][clock] for one in rounds]
        cells.append(f"{statistics.median(took):.1f} ({min(took):.1f}–{max(took):.1f})")
    return f"| {WORKS[work]} | {cells[0]} | {cells[1]} | {ratio:.2f} | {peak:.0f} |"


if __name__ == "__main__":
    main()
