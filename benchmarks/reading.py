"""Reading a large table of mixed columns, within the limits of uploads; writes a dated result.

    python -m benchmarks.reading --rows 1000000

Each format is read by a process of its own, with one thread. Where other programs use the processors, seconds of
processor time say more than those of the clock.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from benchmarks.engine import RESULTS, machine
from service.sandbox.parser import LARGE_BLOCKS, ONE_THREAD
from service.sandbox.parsing.limits import confine, memory
from service.sandbox.parsing.options import Format, Limits, Options, Reading

GOAL_SECONDS, GOAL_BYTES = 20.0, 10**9
LIMITS = Limits(memory_bytes=2**30, dataset_bytes=2**29, seconds=600)
COLUMNS = (
    "30 numbers, 12 categories of five words, 3 days, 1 time, 1 id, 1 number with question marks, yes/no, 1 target"
)
WORDS = ["red", "green", "blue", "dark violet", "orange"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--read", nargs=2, metavar=("FORMAT", "PATH"), help="read once and print the figures")
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(*arguments.read)))
        return
    with tempfile.TemporaryDirectory() as directory:
        files = write_files(Path(directory), arguments.rows)
        results = {form: measured(form, path) for form, path in files.items()}
        sizes = {form: path.stat().st_size for form, path in files.items()}
    write(results, sizes, arguments.rows)


def write_files(directory: Path, rows: int) -> dict[Format, Path]:
    table, files = table_of(rows), {"csv": directory / "table.csv", "parquet": directory / "table.parquet"}
    csv.write_csv(table, files["csv"], csv.WriteOptions(quoting_style="none"))
    parquet.write_table(table, files["parquet"])
    return files  # type: ignore[return-value]


def table_of(rows: int) -> pa.Table:
    """A table of 50 columns as owners have them."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        f"n{i}": np.round(rng.normal(0, 100, rows), 4) if i % 2 else rng.integers(0, 10**5, rows) for i in range(30)
    }
    columns |= {f"c{i}": pa.array(WORDS).take(pa.array(rng.integers(0, 5, rows))) for i in range(12)}
    columns |= {f"d{i}": np.datetime64("2000-01-01") + rng.integers(0, 9000, rows).astype("m8[D]") for i in range(3)}
    times = np.datetime64("2010-01-01T00:00:00") + rng.integers(0, 3 * 10**8, rows).astype("m8[s]")
    numbers = np.round(rng.normal(size=rows), 3)
    return pa.table(
        {
            **columns,
            "time": pa.array(times, pa.timestamp("s")).cast(pa.string()),
            "id": [f"u{i:07d}" for i in range(rows)],
            "marks": ["?" if i % 17 == 0 else str(number) for i, number in enumerate(numbers)],
            "answer": pa.array(["no", "yes"]).take(pa.array(rng.integers(0, 2, rows))),
            "y": rng.integers(0, 3, rows),
        }
    )


def measured(form: str, path: Path) -> dict[str, Any]:
    """Read in another process, as the service would start it."""
    command = [sys.executable, "-m", "benchmarks.reading", "--read", form, str(path)]
    environment = {
        **os.environ,
        **dict.fromkeys(ONE_THREAD, "1"),
        **LARGE_BLOCKS,
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(output)
    print(form, result, flush=True)
    return result


def read(form: Format, path: str) -> dict[str, Any]:
    """Read once, and return the seconds and the memory that it took."""
    from service.sandbox.parsing.reader import import_for
    from service.sandbox.parsing.tables.reading import read_table

    import_for(form)
    before = memory()
    confine(LIMITS)
    began, began_cpu = time.perf_counter(), time.process_time()
    table = read_table(Path(path), form, Reading(Options(), LIMITS))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    after = memory()
    return {
        "rows": table.rows,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_bytes": after["VmHWM"] - before["VmRSS"],
        "address_space_bytes": after["VmPeak"] - before["VmSize"],
    }


def write(results: dict[Format, dict[str, Any]], sizes: dict[Format, int], rows: int) -> None:
    today, load = dt.datetime.now(dt.UTC).date().isoformat(), os.getloadavg()[2]
    hardware = ", ".join(f"{key} {value}" for key, value in machine("pyarrow", "numpy").items())
    met = results["csv"]["cpu_seconds"] < GOAL_SECONDS and results["csv"]["peak_bytes"] < GOAL_BYTES
    lines = [
        f"# Reading {rows:,} rows of 50 columns, {today}",
        "",
        f"{hardware}. One thread; types are decided by all values; address space limited to 1 GiB beyond the parser's "
        f"own. Load average of the last 15 minutes: {load:.1f}. Columns: {COLUMNS}. Goal for CSV: "
        f"{GOAL_SECONDS:.0f} s of a processor and {GOAL_BYTES // 10**6:,} MB, {'met' if met else 'not met'}. Made by "
        "`python -m benchmarks.reading`.",
        "",
        "| format | file, MB | seconds | of processor time | peak, MB | address space, MB |",
        "|---|---|---|---|---|---|",
    ]
    for form, one in results.items():
        sizes_mb = " | ".join(f"{one[name] / 1e6:.0f}" for name in ("peak_bytes", "address_space_bytes"))
        row = f"{one['seconds']:.1f} | {one['cpu_seconds']:.1f} | {sizes_mb}"
        lines.append(f"| {form} | {sizes[form] / 1e6:.0f} | {row} |")
    (RESULTS / f"{today}-reading.md").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
