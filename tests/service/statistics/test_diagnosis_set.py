"""Verdicts on the labeled set of curves, which benchmarks.diagnosis wrote; docs/science/diagnosis.md has the table."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from service.statistics.diagnosis import Curves, diagnose

FILE = Path(__file__).parent / "files" / "diagnosis.json.gz"
RIGHT = {
    "fits": 25, "underfits": 27, "overfits": 25, "memorizes": 7, "worse_than_guessing": 12, "diverged": 4,
    "undecided": 6,
}  # fmt: skip
"""At least so many of the curves of each label get it as their verdict."""
WRONG = {("fits", "overfits"): 0, ("fits", "underfits"): 1}
"""At most so many curves of a label get another verdict that would change a good spec."""


def verdict(case: dict[str, Any]) -> str:
    train, held_out = (np.array(case[name], float) for name in ("train", "held_out"))
    more = {name: case[name] for name in ("uniform", "perfect", "simpler", "train_guessing")}
    return diagnose(Curves(train, held_out, case["guessing"], **more)).verdict


def test_verdicts_on_the_labeled_set_do_not_get_worse() -> None:
    cases = json.loads(gzip.decompress(FILE.read_bytes()))
    counts = Counter((case["expected"], verdict(case)) for case in cases)
    assert len(cases) >= 60
    assert {case["source"] for case in cases} == {
        "simulated", "digits", "mnist1d", "fashion_mnist", "linear", "upload",
    }  # fmt: skip
    assert all(counts[label, label] >= least for label, least in RIGHT.items()), counts
    assert all(counts[pair] <= most for pair, most in WRONG.items()), counts
