"""Limits follow the speed of the machine, and a wait ends only when nothing moves any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import patience
from tests.patience import FRESH_SECONDS, MEMORY_SECONDS, QUIET_SECONDS, Machine, eventually


class Clock:
    """A clock that stands still but for work and sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.work_seconds = QUIET_SECONDS

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.work_seconds

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tests.patience.time.monotonic", clock)
    monkeypatch.setattr("tests.patience.time.sleep", clock.sleep)
    monkeypatch.setattr(patience, "_machine", Machine(clock.work, clock=clock))
    return clock


def test_limits_are_unchanged_on_a_quiet_machine_and_never_shorter(clock: Clock) -> None:
    assert patience.scaled(10) == 10
    clock.now += MEMORY_SECONDS
    clock.work_seconds = QUIET_SECONDS / 4
    assert patience.scaled(10) == 10


def test_slowest_measurement_counts_until_it_is_old(clock: Clock) -> None:
    clock.work_seconds = 5 * QUIET_SECONDS
    assert patience.scaled(10) == 50
    clock.work_seconds = QUIET_SECONDS
    clock.now += FRESH_SECONDS
    assert patience.scaled(10) == 50
    clock.now += MEMORY_SECONDS
    assert patience.scaled(10) == 10


def test_measurement_is_reused_while_it_is_fresh(clock: Clock) -> None:
    patience.scaled(1)
    measured_at = clock.now
    patience.scaled(1)
    assert clock.now == measured_at


def test_processes_share_measurements(clock: Clock, tmp_path: Path) -> None:
    one, other = (Machine(clock.work, clock=clock, shared=tmp_path / "measurements") for _ in range(2))
    clock.work_seconds = 5 * QUIET_SECONDS
    assert one.slowdown() == 5
    measured_at = clock.now
    assert other.slowdown() == 5
    assert clock.now == measured_at
    clock.work_seconds = 8 * QUIET_SECONDS
    clock.now += FRESH_SECONDS
    assert (other.slowdown(), one.slowdown()) == (8, 8)
    clock.work_seconds = QUIET_SECONDS
    clock.now += MEMORY_SECONDS
    assert (one.slowdown(), other.slowdown()) == (1, 1)


def test_waiting_fails_at_the_limit_of_a_quiet_machine(clock: Clock) -> None:
    with pytest.raises(AssertionError, match=r"not true within 3\.0 s \(3 s on a quiet machine\)"):
        eventually(lambda: False, 3)
    assert clock.now == pytest.approx(3, abs=1)


def test_waiting_continues_on_a_machine_that_has_become_slow(clock: Clock) -> None:
    clock.work_seconds = 4 * QUIET_SECONDS
    assert eventually(lambda: clock.now > 9, 3) is True
    with pytest.raises(AssertionError, match=r"not true within 12\.0 s"):
        eventually(lambda: False, 3)


def test_waiting_continues_during_progress(clock: Clock) -> None:
    assert eventually(lambda: clock.now > 20, 3, progress=lambda: min(int(clock.now), 18)) is True
    with pytest.raises(AssertionError, match="not true within 3"):
        eventually(lambda: clock.now > 60, 3, progress=lambda: min(int(clock.now), 50))
    assert clock.now == pytest.approx(53, abs=1)


def test_machine_is_measured() -> None:
    assert patience.scaled(1) >= 1
