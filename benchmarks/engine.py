"""The engine and its peers, interleaved (A B C A B C …), each in its own processes; writes a page and a chart.

    python -m benchmarks.engine [--rounds 5] [--only-compared]
    python -m benchmarks.engine --again benchmarks/results/2026-11-24-engine.json    page and chart again

Compare only ratios of one invocation, because the speed of a machine varies over time. Results are written after each
round, so a run that is interrupted keeps the rounds it finished.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
from collections.abc import Iterator, Mapping
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


def gather(requested: list[Program], rounds: int, results: Results) -> Iterator[int]:
    """Run every program in each round and add their reports to ``results``; yield the number of each round."""
    for number in range(1, rounds + 1):
        reports = {}
        for program in requested:
            reports[program] = measure(program)
            summary = {k: v for k, v in reports[program].items() if k in ("epoch_seconds", "seconds", "peak", "own")}
            print(f"round {number}/{rounds} {' '.join(program.command(0)[-8:])}: {summary}", flush=True)
        for program, report in reports.items():
            results.setdefault(program, []).append(report)
        yield number


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
    parser.add_argument("--only-compared", action="store_true", help="without the growth of cost, and parts")
    parser.add_argument("--again", type=Path)
    arguments = parser.parse_args()
    if arguments.again is not None:
        write(arguments.again.name.removesuffix("-engine.json"), json.loads(arguments.again.read_text()))
        return
    today = dt.datetime.now(dt.UTC).date().isoformat()
    for raw in measured(arguments.rounds, growth=not arguments.only_compared):
        (RESULTS / f"{today}-engine.json").write_text(json.dumps(raw, indent=1) + "\n")
        write(today, raw)


def write(today: str, raw: Mapping[str, Any]) -> None:
    """Write the page and the chart of stored results."""
    results: Results = {
        Program(**one["program"] | {"flags": tuple(one["program"]["flags"])}): one["results"] for one in raw["found"]
    }
    text = page(results, today=today, machine=raw["machine"], rounds=raw["rounds"])
    (RESULTS / f"{today}-engine.md").write_text(text)
    draw(results, RESULTS / f"{today}-engine.png")
    print(text, flush=True)


def measured(rounds: int, *, growth: bool) -> Iterator[dict[str, Any]]:
    """Measure all programs; yield the results as they are stored, after each round."""
    compared, curves = programs()
    results: Results = {}
    stages = [(compared, rounds)]
    if growth:
        stages += [(curves, min(rounds, GROWTH_ROUNDS)), (list(work.PARTS.values()), 1)]
    done = 0
    for requested, number in stages:
        for finished in gather(requested, number, results):
            done = max(done, finished)
            yield {
                "machine": machine("torch", "torchvision", "jax", "numpy"),
                "rounds": done,
                "found": [{"program": asdict(program), "results": reports} for program, reports in results.items()],
            }


if __name__ == "__main__":
    main()
