"""The engine against its peers, in turn (A B C A B C …), each in processes of its own; writes a page and a picture.

    python -m benchmarks.engine [--rounds 5]
    python -m benchmarks.engine --again benchmarks/results/2026-11-24-engine.json    page and picture anew

Only ratios of one invocation mean anything: machines have faster and slower hours.
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
from benchmarks.tables import Found, page

RESULTS = Path(__file__).with_name("results")
GROWTH_ROUNDS = 3
"""Rounds of what is drawn as curves only, at most."""


def programs() -> tuple[list[Program], list[Program]]:
    """Every program that a table needs, once: those of the comparison, and those of growth."""
    compared = [program for one in work.WORKS for program in (one.ours, *one.peers.values())]
    compared += [work.GEMM, work.STUDY, work.BARE, work.LATENCY]
    growth = [
        program
        for curve in (work.GROWTH_RUNS, work.GROWTH_ROWS, work.GROWTH_WIDTH, work.GROWTH_WIDTH_EAGER)
        for program in curve.values()
    ]
    return list(dict.fromkeys(compared)), [p for p in dict.fromkeys(growth) if p not in compared]


def gather(wanted: list[Program], rounds: int) -> Found:
    """The results of every program, round by round."""
    found: Found = {program: [] for program in wanted}
    for number in range(1, rounds + 1):
        for program, results in found.items():
            results.append(measure(program))
            told = {k: v for k, v in results[-1].items() if k in ("epoch_seconds", "seconds", "peak", "own")}
            print(f"round {number}/{rounds} {' '.join(program.command(0)[-8:])}: {told}", flush=True)
    return found


def machine(*packages: str) -> dict[str, str]:
    """Hardware, and the versions of Python and of these packages."""
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
    given = parser.parse_args()
    if given.again is None:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        raw = measured(given.rounds)
        (RESULTS / f"{today}-engine.json").write_text(json.dumps(raw, indent=1) + "\n")
    else:
        today, raw = given.again.name.removesuffix("-engine.json"), json.loads(given.again.read_text())
    found: Found = {
        Program(**one["program"] | {"flags": tuple(one["program"]["flags"])}): one["results"] for one in raw["found"]
    }
    text = page(found, today=today, machine=raw["machine"], rounds=raw["rounds"])
    (RESULTS / f"{today}-engine.md").write_text(text)
    draw(found, RESULTS / f"{today}-engine.png")
    print(text)


def measured(rounds: int) -> dict[str, Any]:
    """Everything that is to be known, as it is written down."""
    compared, growth = programs()
    found = gather(compared, rounds)
    found |= gather(growth, min(rounds, GROWTH_ROUNDS))
    found |= gather(list(work.PARTS.values()), 1)
    return {
        "machine": machine("torch", "torchvision", "jax", "numpy"),
        "rounds": rounds,
        "found": [{"program": asdict(program), "results": results} for program, results in found.items()],
    }


if __name__ == "__main__":
    main()
