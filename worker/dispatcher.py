"""The dispatcher: sees that as many workers are on a cluster as the queue needs and the cluster has room for.

It hands nothing out. A worker claims for itself once it runs, as any worker does, so nothing is held while a cluster
takes its time, and nothing is lost with the dispatcher. All that it must know it asks the queue and the cluster, each
time: another dispatcher, or a restarted one, continues with the existing workers.
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
"""How long workers may take to save and end when the dispatcher stops: longer than a training process may."""
PAUSES = (1.0, 5.0, 30.0)
"""Pauses after one, two and more consecutive workers died before they started."""


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
    """Places workers until ``stop`` is called. If it dies instead, its workers continue until they end themselves."""

    def __init__(self, cluster: Cluster, source: JobSource, queue: Queue, template: WorkerInfo, lease: float) -> None:
        """Before they begin, workers are shown in the template that is given; ``lease``: how long one may be silent."""
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
        """Finish soon: the workers save what they train, and give it back to the queue."""
        self._stopping.set()

    def run(self) -> None:
        """Manage the cluster's workers until ``stop`` is called."""
        while not self._stopping.is_set():
            try:
                self.look()
            except SourceUnavailable as error:
                LOG.warning("cannot read the queue: %s", error)
            self._stopping.wait(LOOK_SECONDS)
        self._shut_down()

    def look(self) -> None:
        """Look once: forget who is gone, end who should have ended, start who is needed."""
        existing = self._cluster.workers()
        known = {worker.worker_id: worker for worker in self._queue.workers()}
        self._forget(self._signs.keys() - existing, known)
        self._end_silent(existing, known)
        self._start(existing, known)

    def _forget(self, ended: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Take workers that are gone from all books; who ended in good order has left the queue's by itself."""
        for worker_id in ended:
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
        LOG.error("%s died before it started; starting no other for %.0f s: %s", worker_id, seconds, reason)

    def _end_silent(self, existing: set[str], known: Mapping[str, WorkerStatus]) -> None:
        """Kill workers that hold nothing any more and give no sign of life: hung, cut off, or never started."""
        now = time.monotonic()
        for worker_id in existing:
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
        # What is starting may be among what the cluster still counts as room.
        for _ in range(min(missing, self._cluster.room() - starting)):
            self._start_one()

    def _start_one(self) -> None:
        worker_id = f"wrk_{ULID()}"
        # Before it begins, so that those that begin first leave their share of the queue to it.
        self._source.register(self._info(worker_id))
        self._cluster.start(worker_id)
        self._signs[worker_id] = time.monotonic()
        LOG.info("%s is started", worker_id)

    def _info(self, worker_id: str) -> WorkerInfo:
        return replace(self._template, worker_id=worker_id)

    def _shut_down(self) -> None:
        existing = self._cluster.workers()
        LOG.info("asking %d worker(s) to end", len(existing))
        for worker_id in existing:
            self._cluster.stop(worker_id)
        deadline = time.monotonic() + STOP_SECONDS
        while (existing := self._cluster.workers()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        for worker_id in existing:
            LOG.warning("%s did not end within %.0f s and is killed", worker_id, STOP_SECONDS)
            self._cluster.kill(worker_id)
