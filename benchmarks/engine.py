"""The engine against its peers, in turn (A B C A B C …), each in a process of its own; writes a dated result.

    python -m benchmarks.engine [--rounds 5]

Only ratios of one invocation mean anything: machines have faster and slower hours.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
SMALL, LARGE = "128,128", "1024,512"


@dataclass(frozen=True)
class Row:
    """One kind of work, Fitwell's way to do it, and the peers'."""

    name: str
    hidden: str
    runs: int
    peers: dict[str, tuple[str, int]]
    """Name of the peer: its program, and how many runs it trains at once."""


ROWS = (
    Row(
        "16 small runs",
        SMALL,
        16,
        {"stock": ("stock", 1), "eager": ("eager", 1), "JAX scan": ("jax_scan", 1), "JAX vmap": ("jax_scan", 16)},
    ),
    Row("one small run", SMALL, 1, {"stock": ("stock", 1), "eager": ("eager", 1), "JAX scan": ("jax_scan", 1)}),
    Row("one large run", LARGE, 1, {"stock": ("stock", 1), "eager": ("eager", 1), "JAX scan": ("jax_scan", 1)}),
)
Program = tuple[str, str, int]
"""Program, hidden layers, runs at once."""


def measure(program: Program) -> dict[str, Any]:
    """One process, one measurement."""
    name, hidden, runs = program
    command = [sys.executable, "-m", f"benchmarks.programs.{name}", "--hidden", hidden, "--runs", str(runs)]
    command += ["--epochs", "1" if name == "stock" else "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def programs() -> list[Program]:
    """Every program that some row needs, once."""
    wanted = [("fitwell_stack", row.hidden, row.runs) for row in ROWS]
    wanted += [(program, row.hidden, runs) for row in ROWS for program, runs in row.peers.values()]
    return list(dict.fromkeys(wanted))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def table(found: dict[Program, list[dict[str, Any]]]) -> list[str]:
    """Markdown: seconds per run and epoch, and the median of the ratios round by round."""
    lines = [
        "| work | program | seconds per run and epoch | Fitwell is faster by | peak MB | loss |",
        "|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        ours = found["fitwell_stack", row.hidden, row.runs]
        mine = [one["epoch_seconds"] for one in ours]
        lines.append(f"| {row.name} | **Fitwell** | {spread(mine)} | | {_peak(ours)} | {ours[0]['loss']:.3f} |")
        for peer, (program, runs) in row.peers.items():
            theirs = found[program, row.hidden, runs]
            ratios = [a["epoch_seconds"] / b for a, b in zip(theirs, mine, strict=True)]
            seconds = spread([one["epoch_seconds"] for one in theirs])
            lines.append(f"| | {peer} | {seconds} | {spread(ratios)}× | {_peak(theirs)} | {theirs[0]['loss']:.3f} |")
    return lines


def _peak(results: list[dict[str, Any]]) -> str:
    return f"{statistics.median([one['peak_bytes'] for one in results]) / 1e6:.0f}"


def machine() -> dict[str, str]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    packages = {name: version(name) for name in ("torch", "jax", "numpy")}
    return {"cpu": f"{len(names)} × {names[0]}", "python": platform.python_version(), **packages}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[Program, list[dict[str, Any]]] = {program: [] for program in programs()}
    for number in range(1, rounds + 1):
        for program, results in found.items():
            results.append(measure(program))
            print(f"round {number}/{rounds} {program}: {results[-1]['epoch_seconds']:.3f} s", flush=True)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    raw = {"machine": machine(), "rounds": rounds, "found": [{"program": p, "results": r} for p, r in found.items()]}
    hardware = ", ".join(f"{key} {value}" for key, value in machine().items())
    text = [
        f"# The engine against its peers, {today}",
        "",
        f"{hardware}; {rounds} rounds, the programs in turn, "
        "each in a process of its own after an epoch to warm up. Median (minimum–maximum). "
        "FashionMNIST, batch 64, SGD; nothing is evaluated on either side. Made by `make bench`.",
        "",
        *table(found),
        "",
    ]
    (RESULTS / f"{today}-engine.json").write_text(json.dumps(raw, indent=1) + "\n")
    (RESULTS / f"{today}-engine.md").write_text("\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
