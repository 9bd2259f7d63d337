"""The training process: takes orders from the agent, trains stacks, reports. It never sees a database.

It dies with its parent: it exits when its standard input ends, whatever it is doing.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from worker.engine.gemm_backend import cpu_model, limit_instructions
from worker.engine.process_registry import ProcessRegistry, common_directory

limit_instructions()  # before torch computes anything
gc.disable()  # what torch makes at its import stays: looking through it again and again takes a sixth of the time

import torch  # noqa: E402

from worker import logs  # noqa: E402
from worker.engine.free_memory import release_free_memory  # noqa: E402
from worker.engine.job import Job  # noqa: E402
from worker.engine.worker_context import WorkerContext  # noqa: E402
from worker.lifetime import kill_with_parent  # noqa: E402
from worker.messages import Halt, Idle, Leave, Message, Ready, Train, read_order  # noqa: E402
from worker.spec.datasets.uploaded import FOLDER  # noqa: E402
from worker.storage import opened  # noqa: E402

gc.freeze()
gc.enable()
LOG = logging.getLogger("fitwell.training")


class Process:
    """Reads orders on a thread of its own, so that they take effect between two steps."""

    def __init__(self, orders: BinaryIO, reports: BinaryIO, context: WorkerContext) -> None:
        self._orders = orders
        self._reports = reports
        self._context = context
        self._waiting: queue.Queue[Job | None] = queue.Queue()
        self._job: Job | None = None
        self._halted = False
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        """Send a report to the agent."""
        self._reports.write(message.line())
        self._reports.flush()

    def run(self) -> None:
        """Serve until the order to halt."""
        threading.Thread(target=self._listen, daemon=True).start()
        self.say(
            Ready(
                device=str(self._context.device),
                details={"torch": torch.__version__, "cpu": cpu_model(), "threads": self._context.threads},
            )
        )
        while (job := self._waiting.get()) is not None:
            job.run()
            with self._lock:
                self._job = None
            del job
            release_free_memory()
            self.say(Idle())
            if self._halted:
                return

    def _listen(self) -> None:
        for line in self._orders:
            order = read_order(line)
            with self._lock:
                if isinstance(order, Train):
                    # The job exists as soon as its order arrives: a Leave or Halt that follows at once applies to it.
                    self._job = Job(order, self._context, self.say)
                    self._waiting.put(self._job)
                elif isinstance(order, Leave) and self._job is not None:
                    self._job.leave(order.run_ids, order.status)
                elif isinstance(order, Halt):
                    self._halt()
        os._exit(0)  # the agent is dead

    def _halt(self) -> None:
        self._halted = True
        if self._job is not None:
            self._job.halt()
        self._waiting.put(None)


def main(arguments: Sequence[str]) -> None:
    """Serve an agent on standard input and output; whatever else prints goes to standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--checkpoint-seconds", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--storage-url")
    options = parser.parse_args(arguments)
    kill_with_parent()
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logs.set_up_as_parent()
    context = WorkerContext(
        datasets=options.datasets,
        uploads=opened(options.datasets / FOLDER, options.storage_url),
        checkpoints=opened(options.checkpoints, options.storage_url),
        checkpoint_seconds=options.checkpoint_seconds,
        threads=options.threads,
        device=torch.device(options.device),
        processes=ProcessRegistry(common_directory()),
    )
    Process(sys.stdin.buffer, reports, context).run()
    os._exit(0)  # the listening thread still waits for orders


if __name__ == "__main__":
    main(sys.argv[1:])
