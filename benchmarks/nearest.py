"""k nearest neighbours on the whole of FashionMNIST, Fitwell and scikit-learn in turn; writes a dated result.

python -m benchmarks.nearest --rounds 5
"""

from __future__ import annotations

import argparse
import datetime as dt
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
    rounds: list[dict[str, Any]] = []
    for _ in range(parser.parse_args().rounds):
        rounds.append({work: measure(Program("nearest", flags=(f"--work={work}",))) for work in WORKS})
        print({work: round(told["seconds"], 2) for work, told in rounds[-1].items()}, flush=True)
    lines = [
        "| work | seconds, median (min–max) | of Fitwell's search, median of rounds | peak MiB |",
        "|---|---|---|---|",
    ]
    for work, what in WORKS.items():
        seconds = [one[work]["seconds"] for one in rounds]
        ratio = statistics.median(one[work]["seconds"] / one["search"]["seconds"] for one in rounds)
        told = f"{statistics.median(seconds):.1f} ({min(seconds):.1f}–{max(seconds):.1f})"
        peak = max(one[work]["peak_bytes"] for one in rounds) / 2**20
        lines.append(f"| {what} | {told} | {ratio:.2f} | {peak:.0f} |")
    met = "met" if statistics.median(one["run"]["seconds"] for one in rounds) < GOAL_SECONDS else "not met"
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("torch", "scikit-learn", "numpy").items())
    head = [
        f"# k nearest neighbours on FashionMNIST, 60,000 × 10,000, {today}",
        "",
        f"{hardware}. {len(rounds)} rounds, the programs in turn, each in a process of its own. Goal for a whole run: "
        f"{GOAL_SECONDS:.0f} s, {met}. Made by `python -m benchmarks.nearest`.",
        "",
    ]
    (RESULTS / f"{today}-nearest.md").write_text("\n".join([*head, *lines, ""]))


if __name__ == "__main__":
    main()
