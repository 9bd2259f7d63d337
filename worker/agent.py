"""The agent: claims stacks of runs, lets a training process train them, and renews their leases.

The main thread forwards the training process's reports to the job source. Other threads renew the leases, so that a
slow transaction never lets them expire, and poll for orders.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from worker import logs
from worker.agent_settings import AgentSettings
from worker.blob_store import COPIES_SECONDS
from worker.messages import Ended, Epoch, Halt, Idle, Leave, Message, Noted, Ready, Saved, Started, Train
from worker.ports import Claim, JobSource, SourceUnavailable, WorkerInfo
from worker.spec.datasets.uploaded import FOLDER
from worker.storage import opened
from worker.trainer import Trainer

LOG = logging.getLogger("fitwell.worker")
T = TypeVar("T")
HALT_SECONDS = 10.0
"""How long a training process may take to save and end before it is killed."""
ORDER_SECONDS = 0.5
"""How often the agent polls for orders while it holds runs."""
TIDY_SECONDS = 3600.0
"""How often local copies of files in the bucket are pruned."""


class Agent:
    """A worker's main loop: claim, train, record, until ``stop`` is called."""

    def __init__(self, source: JobSource, info: WorkerInfo, settings: AgentSettings) -> None:
        self._source = source
        self._info = info
        self._settings = settings
        self._checkpoints = opened(settings.checkpoints, settings.storage_url)
        self._uploads = opened(settings.datasets / FOLDER, settings.storage_url)
        self._reports: queue.Queue[Message | None] = queue.Queue()
        self._stopping = threading.Event()
        self._closed = threading.Event()
        self._claims: dict[str, Claim] = {}
        self._sent_orders: dict[str, str] = {}
        self._train_sent = False
        self._lock = threading.Lock()
        self._renewed = time.monotonic()
        self._worked = time.monotonic()
        self._trainer: Trainer | None = None

    def stop(self) -> None:
        """Save the runs in training, release them to the queue, and end ``run``."""
        self._stopping.set()

    def run(self) -> None:
        """Work until ``stop`` is called, or until the agent has been idle for the permitted time."""
        self._retry(lambda: self._source.register(self._info))
        threads = [threading.Thread(target=work, daemon=True) for work in self._background_tasks]
        for thread in threads:
            thread.start()
        try:
            while not self._stopping.is_set():
                try:
                    self._work_once()
                except SourceUnavailable as error:
                    LOG.error("leases lost: the job source stayed unavailable: %s", error)  # noqa: TRY400
                    self._abandon()
        finally:
            self._closed.set()
            self._shut_down()

    @property
    def _background_tasks(self) -> list[Callable[[], None]]:
        """Functions that run on threads of their own."""
        return [self._keep_leases, self._follow_orders, *([] if self._settings.storage_url is None else [self._tidy])]

    def _work_once(self) -> None:
        """Claim a stack and train it to its end, or wait if nothing is queued."""
        trainer = self._ensure_trainer()
        try:
            claims = self._source.claim(self._info, limit=self._settings.stack_limit)
        except SourceUnavailable as error:
            LOG.warning("cannot claim work: %s", error)
            claims = ()
        if not claims:
            self._wait()
            return
        with self._lock:
            self._renewed = time.monotonic()
            self._sent_orders, self._train_sent = {}, False
            self._claims = {claim.run_id: claim for claim in claims}
        with logs.about(run_ids=[claim.run_id for claim in claims]):
            LOG.info("training %d run(s): %s", len(claims), ", ".join(self._claims))
            trainer.send(Train(claims=tuple(claims), max_runs=max(2, claims[0].stack_runs)))
            with self._lock:
                self._train_sent = True
            self._supervise(trainer)
        self._worked = time.monotonic()

    def _wait(self) -> None:
        idle = self._settings.idle_seconds
        if idle is not None and time.monotonic() - self._worked > idle:
            LOG.info("idle for %.0f s: ending", idle)
            self._stopping.set()
        self._stopping.wait(self._settings.poll_seconds)

    def _ensure_trainer(self) -> Trainer:
        """Return the training process. Starts a new one at first, and after one died while idle."""
        if self._trainer is not None and not self._trainer.alive:
            LOG.warning("training process %d died idle", self._trainer.pid)
            self._abandon()
        if self._trainer is None:
            self._trainer = Trainer(self._settings.trainer_options, self._reports)
        return self._trainer

    def _abandon(self) -> None:
        """Kill the training process and forget its runs, whose leases then expire."""
        with self._lock:
            trainer, self._trainer, self._claims = self._trainer, None, {}
        if trainer is not None:
            trainer.kill()
            trainer.wait(HALT_SECONDS)
            while self._reports.get() is not None:  # discard its last reports
                pass

    def _supervise(self, trainer: Trainer) -> None:
        """Forward the training process's reports until it is idle or dead."""
        halted = False
        while True:
            if self._stopping.is_set() and not halted:
                trainer.send(Halt())
                halted = True
                deadline = threading.Timer(HALT_SECONDS, trainer.kill)
                deadline.daemon = True
                deadline.start()
            try:
                report = self._reports.get(timeout=ORDER_SECONDS)
            except queue.Empty:
                continue
            if report is None:
                self._trainer_died(trainer, halted=halted)
                return
            self._forward(report)
            if isinstance(report, Idle):
                self._release(failed=not halted)
                return

    def _trainer_died(self, trainer: Trainer, *, halted: bool) -> None:
        code = trainer.wait(HALT_SECONDS)
        if not halted:
            LOG.error("training process %d died with code %d", trainer.pid, code)
        self._trainer = None
        self._release(failed=not halted)

    def _forward(self, report: Message) -> None:
        """Forward a report to the job source."""
        claims = list(self._claims.values())
        if isinstance(report, Started):
            claims = [self._claims[run_id] for run_id in report.run_ids if run_id in self._claims]
            started = functools.partial(
                self._source.started,
                claims,
                device=report.device,
                determinism_class=report.determinism_class,
                baselines=report.baselines,
            )
            self._drop(self._retry(started))
        elif isinstance(report, Epoch):
            measurements = [m for m in report.measurements if m.run_id in self._claims]
            self._drop(self._retry(lambda: self._source.record(claims, measurements)))
        elif isinstance(report, Saved):
            saved = report.checkpoints, report.weights
            self._checkpoints.drop(self._retry(lambda: self._source.checkpointed(claims, *saved)))
        elif isinstance(report, Noted):
            self._retry(lambda: self._source.note(claims, report.note))
        elif isinstance(report, Ended):
            self._retry(lambda: self._source.finish(claims, report.outcomes))
            self._forget(outcome.run_id for outcome in report.outcomes)
        elif isinstance(report, Ready):
            LOG.info("training process is ready on %s", report.device)

    def _drop(self, lost: set[str]) -> None:
        """Drop runs whose lease is lost; their stack peers continue."""
        if lost:
            LOG.warning("leases lost: %s", ", ".join(sorted(lost)))
            self._forget(lost)
            if self._trainer is not None:
                self._trainer.send(Leave(run_ids=tuple(lost), status="lost"))

    def _forget(self, run_ids: Iterable[str]) -> None:
        with self._lock:
            for run_id in run_ids:
                self._claims.pop(run_id, None)

    def _release(self, *, failed: bool) -> None:
        """Release all runs that are still held."""
        with self._lock:
            claims, self._claims = list(self._claims.values()), {}
        if claims:
            self._retry(lambda: self._source.release(claims, failed=failed))

    def _retry(self, call: Callable[[], T]) -> T:
        """Repeat a call while the job source is unavailable, for as long as the leases last.

        Raises:
            SourceUnavailable: The job source stayed unavailable until the leases expired. Other workers may continue
                the runs.
        """
        deadline = time.monotonic() + self._settings.lease_seconds
        pause = 0.05
        while True:
            try:
                return call()
            except SourceUnavailable as error:
                if time.monotonic() > deadline:
                    raise
                LOG.warning("the job source is unavailable (%s); retrying", error)
                time.sleep(pause)
                pause = min(2 * pause, 2.0)

    def _keep_leases(self) -> None:
        """Renew the leases; kill the training process if no renewal succeeds for ``fence_seconds``."""
        while not self._closed.wait(self._settings.heartbeat_seconds):
            with self._lock:
                claims = list(self._claims.values())
            began = time.monotonic()
            try:
                orders = self._source.heartbeat(self._info, claims)
            except SourceUnavailable as error:
                LOG.warning("cannot renew the leases: %s", error)
                if claims and began - self._renewed > self._settings.fence_seconds and self._trainer is not None:
                    LOG.error("no lease renewed for %.0f s: killing the training process", began - self._renewed)  # noqa: TRY400
                    self._trainer.kill()
                continue
            self._renewed = began
            self._obey(orders)

    def _follow_orders(self) -> None:
        """Poll for orders between heartbeats."""
        while not self._closed.wait(ORDER_SECONDS):
            with self._lock:
                claims = list(self._claims.values())
            if claims:
                try:
                    self._obey(self._source.orders(claims))
                except SourceUnavailable:
                    continue  # the heartbeat logs it

    def _tidy(self) -> None:
        """Prune local copies of files in the bucket."""
        while not self._closed.wait(TIDY_SECONDS):
            for store in (self._checkpoints, self._uploads):
                store.tidy(time.time() - COPIES_SECONDS)

    def _obey(self, orders: Mapping[str, str]) -> None:
        """Forward new orders to the training process.

        Orders that arrive before ``Train`` is sent are ignored; the next poll repeats them.
        """
        statuses = {"cancel": "cancelled", "pause": "paused", "time_out": "timed_out", "lost": "lost"}
        with self._lock:
            if not self._train_sent:
                return
            fresh = {
                i: o for i, o in orders.items() if o in statuses and i in self._claims and self._sent_orders.get(i) != o
            }
            self._sent_orders |= fresh
            trainer = self._trainer
        for run_id, order in fresh.items():
            if trainer is not None:
                trainer.send(Leave.model_validate({"run_ids": (run_id,), "status": statuses[order]}))

    def _shut_down(self) -> None:
        if self._trainer is not None:
            self._trainer.send(Halt())
            self._trainer.wait(HALT_SECONDS)
        try:
            self._release(failed=False)
            self._source.close(self._info)
        except SourceUnavailable as error:
            LOG.warning("cannot report the end of this worker: %s", error)
