"""Write the labeled set, or count the verdicts on it.

    python -m benchmarks.diagnosis write [--datasets DIR] [--work DIR]
    python -m benchmarks.diagnosis count [--before COMMIT]

``count --before`` runs the diagnosis of an earlier commit. Every second kind of curve is held out: thresholds may be
chosen with the others in view only.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnosis import simulated, trained
from service.statistics.diagnosis import Curves, diagnose

SET = Path(__file__).parents[2] / "tests" / "service" / "statistics" / "files" / "diagnosis.json.gz"
VERDICTS = ("fits", "underfits", "overfits", "memorizes", "worse_than_guessing", "diverged", "undecided")
DIGITS = 4
"""Significant digits of the stored losses."""


def write(work: Path, datasets: Path) -> None:
    """Write the curves that have a label."""
    work.mkdir(parents=True, exist_ok=True)
    every = [*simulated.cases(), *trained.cases(work, datasets)]
    labeled = [{name: _plain(value) for name, value in case.items()} for case in every if case["expected"]]
    print(f"{len(labeled)} of {len(every)} curves have a label:", Counter(case["expected"] for case in labeled))
    content = json.dumps(labeled, separators=(",", ":")).encode()
    SET.write_bytes(gzip.compress(content, mtime=0))


def _plain(value: Any) -> Any:
    """Return rounded numbers; None for values that are not finite."""
    if isinstance(value, np.ndarray):
        return [_plain(float(one)) for one in value]
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def now(case: Mapping[str, Any]) -> str:
    """Return the verdict of this version."""
    train, held_out = (np.array(case[name], float) for name in ("train", "held_out"))
    more = {name: case[name] for name in ("uniform", "perfect", "simpler", "train_guessing")}
    return diagnose(Curves(train, held_out, case["guessing"], **more)).verdict


def before(commit: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function with the verdicts of the diagnosis at ``commit``, whose guessing was ln of the classes."""
    command = ["git", "show", f"{commit}:service/statistics/diagnosis.py"]
    source = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    module = types.ModuleType("earlier_diagnosis")
    sys.modules[module.__name__] = module
    exec(source.replace("service.statistics.signflip", "service.statistics.sign_flip"), vars(module))

    def verdict(case: Mapping[str, Any]) -> str:
        guessing = case["uniform"] or case["train_guessing"]
        train, held_out = (np.array(case[name], float) for name in ("train", "held_out"))
        return str(module.diagnose(module.Curves(train, held_out, guessing, simpler=case["simpler"])).verdict)

    return verdict


def table(cases: Iterable[Mapping[str, Any]], verdict: Callable[[Mapping[str, Any]], str]) -> str:
    """Return the confusion table in Markdown: expected verdicts in rows."""
    counts = Counter((case["expected"], verdict(case)) for case in cases)
    rows = ["| expected | " + " | ".join(VERDICTS) + " | right |", "|---" * (len(VERDICTS) + 2) + "|"]
    for expected in VERDICTS:
        of_row = [counts[expected, one] for one in VERDICTS]
        cells = " | ".join(str(count) if count else "" for count in of_row)
        rows.append(f"| {expected} | {cells} | {counts[expected, expected]} of {sum(of_row)} |")
    right = sum(count for (expected, one), count in counts.items() if expected == one)
    return "\n".join([*rows, f"\n{right} of {counts.total()} as expected."])


def _kind(case: Mapping[str, Any]) -> str:
    """Return the name without the kind of noise or the seed: such curves are held out together."""
    return str(case["name"]).rpartition(",")[0]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("write", "count"))
    parser.add_argument("--datasets", type=Path, default=Path("/usr/share/datasets"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/diagnosis/work"), help="keeps trained curves")
    parser.add_argument("--before", metavar="COMMIT")
    parser.add_argument("--list", action="store_true", help="also list the curves with another verdict")
    options = parser.parse_args()
    if options.what == "write":
        write(options.work, options.datasets)
        return
    cases = json.loads(gzip.decompress(SET.read_bytes()))
    verdict = before(options.before) if options.before else now
    kinds = list(dict.fromkeys(map(_kind, cases)))
    chosen = [[case for case in cases if _kind(case) in kinds[first::2]] for first in (0, 1)]
    for name, part in (("Choice", chosen[0]), ("Held out", chosen[1]), ("All", cases)):
        print(f"\n{name}\n\n{table(part, verdict)}")
        if options.list and name != "All":
            print(
                *(f"{c['name']}: {c['expected']}, not {verdict(c)}" for c in part if verdict(c) != c["expected"]),
                sep="\n",
            )


if __name__ == "__main__":
    main()
