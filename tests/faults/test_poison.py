"""A run that kills its workers fails after the third, and the other runs of its stack are trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.system import ROOT, SPEC, system
from tests.patience import scaled
from tests.processes import UNBROKEN_LEASE

POISON = '''"""Poison, for a test: kill the process that trains it.

Reference: none, it is a test.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Poison(Regularizer):
    """Add nothing to the loss, and end it all where strength is not 0."""

    equation: ClassVar[str] = "none"
    reference: ClassVar[str] = "none"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}

    kind: Literal["poison"] = "poison"
    strength: PerRun[float] = Field(ge=0, description="whether")

    @staticmethod
    def penalty(part: Stacked[Poison], w: Tensor) -> Tensor:
        return 0.0 * w

    @staticmethod
    def grad(part: Stacked[Poison], w: Tensor, g: Tensor) -> None:
        if part.column("strength", 3).max() > 0:
            os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.fixture
def poisonous(tmp_path: Path) -> str:
    """A tree with one more regularizer."""
    for package in ("service", "worker", "migrations", "fitwell"):
        shutil.copytree(ROOT / package, tmp_path / "tree" / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tree/worker/spec/regularizers/poison.py").write_text(POISON)
    return str(tmp_path / "tree")


def test_run_that_kills_its_workers_fails_and_its_stack_continues(
    database: str | None, poisonous: str, tmp_path: Path
) -> None:
    settings = {
        "FITWELL_BARREN_ATTEMPTS": "3",
        "FITWELL_STACK_LIMIT": "8",
        "PYTHONPATH": poisonous,
        "FITWELL_LEASE_SECONDS": UNBROKEN_LEASE,
    }
    with system(tmp_path / "home", database, **settings) as under:
        under.start("service")
        healthy = [under.submit(seed=seed) for seed in (1, 2)]
        poison = under.submit(seed=3, regularizers=[*SPEC["regularizers"], {"kind": "poison", "strength": 1.0}])
        healthy += [under.submit(seed=seed) for seed in (4, 5)]
        under.start("worker")
        ended = poison.wait(scaled(120), check=False)
        assert (ended.status, ended.error and ended.error.code) == ("failed", "worker_lost")
        assert [run.wait(scaled(60)).status for run in healthy] == ["succeeded"] * 4
        assert under.output().count("died with code -9") == 3
        stacks = [event.data for event in poison.stream() if event.type in ("run.started", "run.resumed")]
        assert [data["stack_size"] for data in stacks] == [5, 1, 1], "after it has killed its stack it is trained alone"
