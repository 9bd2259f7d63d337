"""The engine and its peers, interleaved (A B C A B C …), each in its own processes; writes a page and a chart.

    python -m benchmarks.engine [--rounds 5]
    python -m benchmarks.engine --again benchmarks/results/2026-11-24-engine.json    page and chart again

Compare only ratios of one invocation, because the speed of a machine varies over time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import work
from benchmarks.picture import draw
from benchmarks.running import Program, measure
from benchmarks.tables import Results, page

RESULTS = Path(__file__).with_name("results")
GROWTH_ROUNDS = 3
"""Maximum number of rounds for programs that only appear as curves."""


def programs() -> tuple[list[Program], list[Program]]:
    """Return every program that a table needs, once: the comparison's and the growth curves'."""
    compared = [program for one in work.WORKS for program in (one.ours, *one.peers.values())]
    compared += [work.GEMM, work.STUDY, work.BARE, work.EVALUATION, work.LATENCY]
    growth = [
        program
        for curve in (work.GROWTH_RUNS, work.GROWTH_ROWS, work.GROWTH_WIDTH, work.GROWTH_WIDTH_EAGER)
        for program in curve.values()
    ]
    return list(dict.fromkeys(compared)), [p for p in dict.fromkeys(growth) if p not in compared]


def gather(requested: list[Program], rounds: int) -> Results:
    """Run every program in each round, and return their results."""
    results: Results = {program: [] for program in requested}
    for number in range(1, rounds + 1):
        for program, reports in results.items():
            reports.append(measure(program))
            summary = {k: v for k, v in reports[-1].items() if k in ("epoch_seconds", "seconds", "peak", "own")}
            print(f"round {number}/{rounds} {' '.join(program.command(0)[-8:])}: {summary}", flush=True)
    return results


def machine(*packages: str) -> dict[str, str]:
    """Return the hardware, and the versions of Python and of these packages."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    memory = Path("/proc/meminfo").read_text().split()[1]
    versions = {name: version(name) for name in packages}
    return {
        "cpu": f"{len(names)} × {names[0]}",
        "memory": f"{int(memory) / 2**20:.0f} GiB",
        "python": platform.python_version(),
        **versions,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--again", type=Path)
    arguments = parser.parse_args()
    if arguments.again is None:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        raw = measured(arguments.rounds)
        (RESULTS / f"{today}-engine.json").write_text(json.dumps(raw, indent=1) + "\n")
    else:
        today, raw = arguments.again.name.removesuffix("-engine.json"), json.loads(arguments.again.read_text())
    results: Results = {
        Program(**one["program"] | {"flags": tuple(one["program"]["flags"])}): one["results"] for one in raw["found"]
    }
    text = page(results, today=today, machine=raw["machine"], rounds=raw["rounds"])
    (RESULTS / f"{today}-engine.md").write_text(text)
    draw(results, RESULTS / f"{today}-engine.png")
    print(text)


def measured(rounds: int) -> dict[str, Any]:
    """Measure all programs, and return the results as they are stored."""
    compared, growth = programs()
    results = gather(compared, rounds)
    results |= gather(growth, min(rounds, GROWTH_ROUNDS))
    results |= gather(list(work.PARTS.values()), 1)
    return {
        "machine": machine("torch", "torchvision", "jax", "numpy"),
        "rounds": rounds,
        "found": [{"program": asdict(program), "results": results} for program, results in results.items()],
    }


if __name__ == "__main__":
    main()
