"""The program of `make gpu`: complete on a CPU, and on a GPU where a machine has one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu


@pytest.mark.slow
def test_program_measures_laws_agreement_and_speed_on_a_cpu(tmp_path: Path) -> None:
    gpu.main(["--device", "cpu", "--scale", "quick", "--minutes", "0", "--results", str(tmp_path)])
    (file,) = tmp_path.glob("*-gpu-*.json")
    result = json.loads(file.read_text())
    assert [law["largest_difference"] for law in result["laws"]] == [0.0] * len(result["laws"])
    assert {speed["work"] for speed in result["speed"]} == {work.name for work in gpu.works("quick")}
    assert all(speed["ratio"] > 0 for speed in result["speed"])
    assert file.with_suffix(".md").read_text().count("\n| ") > len(result["speed"])


def test_broken_promise_and_other_weights_are_violations() -> None:
    law = {"work": "a", "promised": True, "largest_difference": 1e-9}
    near = {"work": "b", "relative_difference": float("nan")}
    assert len(gpu.violations({"laws": [law], "agreement": [near]})) == 2
    fine = {"laws": [{**law, "promised": False}], "agreement": [{**near, "relative_difference": 1e-6}]}
    assert gpu.violations(fine) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_promised_laws_hold_on_the_gpu(tmp_path: Path) -> None:
    result = gpu.measured(torch.device("cuda"), "quick", 0)
    assert gpu.violations(result) == []
