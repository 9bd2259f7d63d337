"""The peak of a process's memory."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from worker.engine import peak_memory
from worker.engine.peak_memory import PeakMemory

SIZE = 2**26


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets the peak")
def test_peak_is_that_since_the_measurement_began() -> None:
    memory = PeakMemory()
    start = memory.bytes or 0
    np.ones(SIZE, np.uint8)  # freed at once, but it counts
    peak = memory.bytes or 0
    assert start > 0
    assert peak >= start + SIZE // 2
    assert 0 < (PeakMemory().bytes or 0) <= peak - SIZE // 2


def test_peak_is_unknown_where_it_cannot_be_reset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peak_memory, "PROCESS", tmp_path / "nowhere")
    assert PeakMemory().bytes is None
