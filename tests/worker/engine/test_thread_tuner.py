"""The number of threads follows what is faster just now."""

from __future__ import annotations

from worker.engine.thread_tuner import LOOK_SECONDS, PERIOD_SECONDS, ThreadTuner
from worker.spec.threads import Threads


class Machine:
    """A clock that steps move, by as much as they take on the chosen number of threads."""

    def __init__(self, **seconds_on: float) -> None:
        self.seconds_on = {int(name.removeprefix("on_")): value for name, value in seconds_on.items()}
        self.now, self.threads, self.at_work = 0.0, 0, 1
        self.tuner = ThreadTuner(
            max(self.seconds_on),
            at_work=lambda: self.at_work,
            clock=lambda: self.now,
            choose=lambda way: setattr(self, "threads", way.products),
        )

    def train(self, seconds: float) -> dict[int, int]:
        """Steps on each number of threads."""
        steps = dict.fromkeys(self.seconds_on, 0)
        end = self.now + seconds
        while self.now < end:
            self.tuner.tick()
            steps[self.threads] += 1
            self.now += self.seconds_on[self.threads]
        return steps


def test_faster_number_of_threads_runs_nearly_all_steps() -> None:
    steps = Machine(on_1=0.003, on_2=0.002).train(20)
    assert steps[2] > 40 * steps[1]
    steps = Machine(on_1=0.001, on_2=0.02).train(20)
    assert steps[1] > 100 * steps[2]


def test_tuner_adapts_when_the_machine_becomes_busy() -> None:
    machine = Machine(on_1=0.003, on_2=0.002)
    machine.train(10)
    machine.seconds_on[2] = 0.05
    machine.train(PERIOD_SECONDS + 1)
    assert machine.threads == 1
    assert machine.train(1.5)[2] == 0


def test_processes_share_the_threads_and_a_single_one_uses_all() -> None:
    machine = Machine(on_1=0.004, on_2=0.002, on_4=0.001)
    machine.train(5)
    assert machine.threads == 4
    machine.at_work = 2
    machine.train(LOOK_SECONDS + 0.01)
    assert machine.train(PERIOD_SECONDS)[4] == 0
    machine.at_work = 5
    machine.train(LOOK_SECONDS + 0.01)
    steps = machine.train(5)
    assert steps[1] > 0 == steps[2] == steps[4]
    machine.at_work = 1
    machine.train(LOOK_SECONDS + 0.1)
    assert machine.threads == 4


def test_one_thread_needs_no_trials() -> None:
    chosen = list[Threads]()
    tuner = ThreadTuner(1, choose=chosen.append)
    for _ in range(100):
        tuner.tick()
    assert chosen == []


def test_tuner_tries_all_choices_for_pieces_and_keeps_the_fastest() -> None:
    seconds = {Threads(2, 2): 0.003, Threads(1, 2): 0.002, Threads(1): 0.004}
    now, used = 0.0, [Threads(2, 2)]
    tuner = ThreadTuner(2, pieces=True, clock=lambda: now, choose=used.append)
    while now < 10:
        tuner.tick()
        now += seconds[used[-1]]
    assert set(used) == set(seconds)
    assert used[-1] == Threads(1, 2)
