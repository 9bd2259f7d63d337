"""How many threads to train on, decided while training: this process's share of the processors, or one.

Bits do not depend on it (law 2, probed for every stack), so it may change between any two steps. Training processes at
work share the processors evenly; of its share, a process takes all or one, whichever is faster just now. On small steps
threads lose more by waiting for each other than they gain; and where other programs use the processors, threads that
wait for each other at every product are many times slower than one. A model that is computed in pieces can also have
several of them at once with products on one thread, since threads that wait for the next product keep the pieces'
from their processors.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from worker.spec.threads import Threads

TRIAL_STEPS = 6
"""Steps that are timed on each number of threads, after one that is not."""
PERIOD_SECONDS = 2.0
"""How long a decision stands."""
LOOK_SECONDS = 0.25
"""How often the processes at work are counted."""


class ThreadTuner:
    """Call ``tick`` before every step. ``at_work`` counts the training processes that share the processors."""

    def __init__(
        self,
        most: int,
        *,
        pieces: bool = False,
        at_work: Callable[[], int] = lambda: 1,
        clock: Callable[[], float] = time.perf_counter,
        choose: Callable[[Threads], None] = Threads.use,
    ) -> None:
        self._most = self._share = most
        self._pieces = pieces
        self._at_work = at_work
        self._clock = clock
        self._choose = choose
        self._trying: list[Threads] = []
        self._seconds: dict[Threads, float] = {}
        self._steps = 0
        self._began = 0.0
        self._decided_until = 0.0
        self._look_at = 0.0

    def tick(self) -> None:
        """A step is about to begin."""
        if self._most == 1:
            return
        now = self._clock()
        if now >= self._look_at:
            self._look(now)
        if self._share == 1:
            return
        if not self._trying:
            if now >= self._decided_until:
                self._try(self._ways())
            return
        self._steps += 1
        if self._steps == 1:
            self._began = now
        elif self._steps > TRIAL_STEPS:
            way, *others = self._trying
            self._seconds[way] = now - self._began
            if others:
                self._try(others)
            else:
                self._decide(now)

    def _look(self, now: float) -> None:
        """Take the share that is due to this process; another one than before is tried out at once."""
        self._look_at = now + LOOK_SECONDS
        share = max(1, self._most // self._at_work())
        if share != self._share:
            self._share, self._trying, self._seconds, self._decided_until = share, [], {}, now
            self._choose(self._ways()[0])

    def _ways(self) -> list[Threads]:
        """Return the candidates for the fastest choice."""
        if self._pieces:
            return [Threads(self._share, self._share), Threads(1, self._share), Threads(1)]
        return [Threads(self._share), Threads(1)]

    def _try(self, trying: list[Threads]) -> None:
        self._trying, self._steps = trying, 0
        self._choose(trying[0])

    def _decide(self, now: float) -> None:
        self._trying = []
        self._choose(min(self._seconds, key=lambda way: self._seconds[way]))
        self._decided_until = now + PERIOD_SECONDS
