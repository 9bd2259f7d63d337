"""The dispatcher: starts as many workers on a cluster as the queue needs and the cluster has room for.

It assigns no runs: its workers claim from the queue like any worker, so runs neither wait for a slow cluster nor end
with the dispatcher. It keeps no state of its own either: it polls the queue and the cluster, so a second or
restarted dispatcher continues with the existing workers.
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
POLL_SECONDS = 0.5
"""How often the queue and the cluster are polled."""
START_SECONDS = 120.0
"""How long a worker may take to start before it is killed."""
END_SECONDS = 10.0
"""How long a worker may take to end after it ended its registration."""
STOP_SECONDS = 30.0
"""How long workers may take to save and end when the dispatcher stops: more than ``worker.agent.HALT_SECONDS``."""
PAUSES = (1.0, 5.0, 30.0)
"""Pauses after one, two and more consecutive workers died before they started."""


class Cluster(Protocol):
    """The place where workers are started. All dispatchers of a queue see the same workers, by id."""

    def workers(self) -> set[str]:
        """Return the ids of all workers: waiting to start, starting, running or ending."""
        ...

    def room(self) -> int:
        """Return how many more workers fit now."""
        ...

    def start(self, worker_id: str) -> None:
        """Start a worker that outlives the dispatcher and ends by itself."""
        ...

    def stop(self, worker_id: str) -> None:
        """Request an orderly end of a worker, without waiting for it."""
        ...

    def kill(self, worker_id: str) -> None:
        """Kill a worker."""
        ...

    def reason(self, worker_id: str) -> str:
        """Return why a worker died before it started, for people."""
        ...


class Dispatcher:
    """Starts workers until ``stop`` is called. If the dispatcher dies instead, its workers continue."""

    def __init__(self, cluster: Cluster, source: JobSource, queue: Queue, template: WorkerInfo, lease: float) -> None:
        """Workers are registered as copies of ``template`` before they start; ``lease`` is in seconds."""
        self._cluster = cluster
        self._source = source
        self._queue = queue
        self._template = template
        self._lease = lease
        self._signs: dict[str, float] = {}
        self._deaths = 0
        self._paused_until = 0.0
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Stop all workers, which save their runs and release them to the queue, and end ``run``."""
        self._stopping.set()

    def run(self) -> None:
        """Manage the cluster's workers until ``stop`` is called."""
        while not self._stopping.is_set():
            try:
                self.poll()
            except SourceUnavailable as error:
                LOG.warning("cannot read the queue: %s", error)
            self._stopping.wait(POLL_SECONDS)
        self._shut_down()

    def poll(self) -> None:
        """Forget ended workers, kill silent ones, and start missing ones, once."""
        existing = self._cluster.workers()
        known = {worker.worker_id: worker for worker in self._queue.workers()}
        self._forget(self._signs.keys() - existing, known)
        self._end_silent(existing, known)
        self._start(existing, known)

    def _forget(self, ended: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Remove the registrations of ended workers, unless they removed them themselves."""
        for worker_id in ended:
            worker = known.get(worker_id)
            if worker is not None and worker.begun and not worker.silent:
                continue  # it may still end its registration; if not, it becomes silent
            if worker is not None:
                self._source.close(self._info(worker_id))
                if not worker.begun:
                    self._pause(worker_id)
            del self._signs[worker_id]

    def _pause(self, worker_id: str) -> None:
        """Start no workers for a while, because the next one may die of the same cause."""
        seconds = PAUSES[min(self._deaths, len(PAUSES) - 1)]
        self._deaths += 1
        self._paused_until = time.monotonic() + seconds
        reason = self._cluster.reason(worker_id)
        LOG.error("%s died before it started; starting no other for %.0f s: %s", worker_id, seconds, reason)

    def _end_silent(self, existing: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Kill workers that hold no run and sent no heartbeat for too long: hung, cut off, or never started."""
        now = time.monotonic()
        for worker_id in existing:
            worker = known.get(worker_id)
            if worker is not None and worker.begun:
                self._deaths = 0
            if worker is not None and (worker.busy or (worker.begun and not worker.silent)):
                self._signs[worker_id] = now
            silent = now - self._signs.setdefault(worker_id, now)
            if silent > self._patience(worker):
                LOG.warning("%s holds no run and sent no heartbeat for %.0f s: killing it", worker_id, silent)
                self._cluster.kill(worker_id)

    def _patience(self, worker: WorkerStatus | None) -> float:
        if worker is None:
            return END_SECONDS
        return self._lease if worker.begun else START_SECONDS

    def _start(self, existing: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Start a worker for each queued run that no idle worker will claim, as far as the cluster has room."""
        if time.monotonic() < self._paused_until:
            return
        ours = [known[worker_id] for worker_id in existing if worker_id in known]
        starting = sum(not worker.begun for worker in ours)
        free = starting + sum(worker.begun and not worker.busy and not worker.silent for worker in ours)
        missing = self._queue.queued(self._template.devices) - free
        if missing <= 0:
            return
        # The cluster may still count the resources of starting workers as room.
        for _ in range(min(missing, self._cluster.room() - starting)):
            self._start_one()

    def _start_one(self) -> None:
        worker_id = f"wrk_{ULID()}"
        # Registered before it starts, so that it counts as free at the next poll.
        self._source.register(self._info(worker_id))
        self._cluster.start(worker_id)
        self._signs[worker_id] = time.monotonic()
        LOG.info("starting %s", worker_id)

    def _info(self, worker_id: str) -> WorkerInfo:
        return replace(self._template, worker_id=worker_id)

    def _shut_down(self) -> None:
        existing = self._cluster.workers()
        LOG.info("stopping %d worker(s)", len(existing))
        for worker_id in existing:
            self._cluster.stop(worker_id)
        deadline = time.monotonic() + STOP_SECONDS
        while (existing := self._cluster.workers()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for worker_id in existing:
            LOG.warning("%s did not end within %.0f s and is killed", worker_id, STOP_SECONDS)
            self._cluster.kill(worker_id)
