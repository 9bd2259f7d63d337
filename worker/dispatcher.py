"""The dispatcher: sees that as many workers are on a cluster as the queue needs and the cluster has room for.

It hands nothing out. A worker claims for itself once it runs, as any worker does, so nothing is held while a cluster
takes its time, and nothing is lost with the dispatcher. All that it must know it asks the queue and the cluster, each
time anew: another dispatcher, or the same one started again, goes on with the workers that are there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from ulid import ULID

from worker.ports import JobSource, Queue, SourceUnavailable, WorkerInfo, WorkerStatus

LOG = logging.getLogger("fitwell.dispatcher")
LOOK_SECONDS = 0.5
"""How often it looks."""
START_SECONDS = 120.0
"""How long a worker may take to begin before it is given up."""
END_SECONDS = 10.0
"""How long one may take to end once it has said good-bye."""
STOP_SECONDS = 30.0
"""How long all may take to save and end when the dispatcher is told to stop: more than a training process has."""
PAUSES = (1.0, 5.0, 30.0)
"""How long none is started after one, two, more in a row died before they began."""


class Cluster(Protocol):
    """Where workers are started. They are known by their ids, to every dispatcher of the same queue."""

    def workers(self) -> set[str]:
        """Those that are there: waiting for their start, starting, at work or ending."""
        ...

    def room(self) -> int:
        """How many more fit now."""
        ...

    def start(self, worker_id: str) -> None:
        """Start one, that outlives the dispatcher and ends by itself."""
        ...

    def stop(self, worker_id: str) -> None:
        """Ask one to end in good order; does not wait."""
        ...

    def kill(self, worker_id: str) -> None:
        """End one now."""
        ...

    def reason(self, worker_id: str) -> str:
        """Why one died before it began, for a person."""
        ...


class Dispatcher:
    """Works until ``stop`` is called. Where it dies instead, its workers go on to their own end."""

    def __init__(self, cluster: Cluster, source: JobSource, queue: Queue, likeness: WorkerInfo, lease: float) -> None:
        """Before they begin, workers are shown in the likeness that is given; ``lease``: how long one may be silent."""
        self._cluster = cluster
        self._source = source
        self._queue = queue
        self._likeness = likeness
        self._lease = lease
        self._signs: dict[str, float] = {}
        self._deaths = 0
        self._paused_until = 0.0
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Finish soon: the workers save what they train, and give it back to the queue."""
        self._stopping.set()

    def run(self) -> None:
        """Look after the cluster until told to stop."""
        while not self._stopping.is_set():
            try:
                self.look()
            except SourceUnavailable as error:
                LOG.warning("the queue cannot be looked at: %s", error)
            self._stopping.wait(LOOK_SECONDS)
        self._shut_down()

    def look(self) -> None:
        """Look once: forget who is gone, end who should have ended, start who is needed."""
        there = self._cluster.workers()
        known = {worker.worker_id: worker for worker in self._queue.workers()}
        self._forget(self._signs.keys() - there, known)
        self._end_silent(there, known)
        self._start(there, known)

    def _forget(self, gone: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Take workers that are gone from all books; who ended in good order has left the queue's by itself."""
        for worker_id in gone:
            worker = known.get(worker_id)
            if worker is not None and worker.begun and not worker.silent:
                continue  # it is seen to end, or its silence is
            if worker is not None:
                self._source.close(self._info(worker_id))
                if not worker.begun:
                    self._pause(worker_id)
            del self._signs[worker_id]

    def _pause(self, worker_id: str) -> None:
        """Start none for a while: whatever this one died of may await the next."""
        seconds = PAUSES[min(self._deaths, len(PAUSES) - 1)]
        self._deaths += 1
        self._paused_until = time.monotonic() + seconds
        reason = self._cluster.reason(worker_id)
        LOG.error("%s died before it began; none is started for %.0f s: %s", worker_id, seconds, reason)

    def _end_silent(self, there: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Kill workers that hold nothing any more and give no sign of life: hung, cut off, or never started."""
        now = time.monotonic()
        for worker_id in there:
            worker = known.get(worker_id)
            if worker is not None and worker.begun:
                self._deaths = 0
            if worker is not None and (worker.busy or (worker.begun and not worker.silent)):
                self._signs[worker_id] = now
            silent = now - self._signs.setdefault(worker_id, now)
            if silent > self._patience(worker):
                LOG.warning("%s holds no run and gave no sign of life for %.0f s: it is killed", worker_id, silent)
                self._cluster.kill(worker_id)

    def _patience(self, worker: WorkerStatus | None) -> float:
        if worker is None:
            return END_SECONDS
        return self._lease if worker.begun else START_SECONDS

    def _start(self, there: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Start as many workers as there are runs that nobody comes for, as far as there is room."""
        if time.monotonic() < self._paused_until:
            return
        ours = [known[worker_id] for worker_id in there if worker_id in known]
        starting = sum(not worker.begun for worker in ours)
        free = starting + sum(worker.begun and not worker.busy and not worker.silent for worker in ours)
        wanted = self._queue.queued(self._likeness.devices) - free
        if wanted <= 0:
            return
        # What is starting may be among what the cluster still counts as room.
        for _ in range(min(wanted, self._cluster.room() - starting)):
            self._start_one()

    def _start_one(self) -> None:
        worker_id = f"wrk_{ULID()}"
        # Before it begins, so that those that begin first leave their share of the queue to it.
        self._source.register(self._info(worker_id))
        self._cluster.start(worker_id)
        self._signs[worker_id] = time.monotonic()
        LOG.info("%s is started", worker_id)

    def _info(self, worker_id: str) -> WorkerInfo:
        return replace(self._likeness, worker_id=worker_id)

    def _shut_down(self) -> None:
        there = self._cluster.workers()
        LOG.info("%d worker(s) are asked to end", len(there))
        for worker_id in there:
            self._cluster.stop(worker_id)
        deadline = time.monotonic() + STOP_SECONDS
        while (there := self._cluster.workers()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        for worker_id in there:
            LOG.warning("%s did not end within %.0f s and is killed", worker_id, STOP_SECONDS)
            self._cluster.kill(worker_id)
