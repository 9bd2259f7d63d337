"""Run and time a program in its own processes, all of which start at the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

FULL_ROWS = 60_000
"""Rows of an epoch in the tables; programs may train on fewer; their times are scaled."""


@dataclass(frozen=True)
class Program:
    """A way to train: a module of ``benchmarks.programs`` and its arguments."""

    module: str
    model: str = "mlp"
    hidden: str = "128,128"
    runs: int = 1
    """For each process."""
    processes: int = 1
    threads: int = 2
    rows: int = FULL_ROWS
    epochs: int = 2
    augment: bool = False
    flags: tuple[str, ...] = ()
    """Replace all other arguments."""

    def command(self, number: int) -> list[str]:
        """Return the command of process ``number``; a process with one thread is pinned to one processor."""
        arguments = list(self.flags)
        if not arguments:
            names = ("model", "hidden", "runs", "threads", "rows", "epochs")
            arguments = [f"--{name}={getattr(self, name)}" for name in names] + ["--augment"] * self.augment
        pinned = ["taskset", "--cpu-list", str(number)] if self.processes > 1 and self.threads == 1 else []
        waiting = ["--wait"] if self.processes > 1 else []
        return [*pinned, sys.executable, "-m", f"benchmarks.programs.{self.module}", *arguments, *waiting]


def measure(program: Program) -> dict[str, Any]:
    """Run the program and return its report; ``epoch_seconds`` are per run and 60,000 rows."""
    commands = [program.command(number) for number in range(program.processes)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    if program.processes > 1:
        for process in running:
            _line(process)
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
    reports = [json.loads(_ended(process).splitlines()[-1]) for process in running]
    result: dict[str, Any] = dict(reports[0])
    result["peak_bytes"] = sum(one.get("peak_bytes", 0) for one in reports)
    if not program.flags and "seconds" in result:
        seconds = max(one["seconds"] for one in reports)
        work = program.processes * program.runs * program.epochs * program.rows
        result["epoch_seconds"] = seconds / work * FULL_ROWS
    elif program.processes > 1:
        result["seconds"] = sum(one["seconds"] for one in reports) / len(reports)
    return result


def _line(process: subprocess.Popen[str]) -> str:
    """Return the next line of output."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return line or _ended(process)


def _ended(process: subprocess.Popen[str]) -> str:
    """Return the remaining output of the process, which must succeed."""
    output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} ended with {process.returncode}:\n{errors}")
    return output
