"""The agent's handle of the training process: start it, exchange messages, end it."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence

from worker.messages import Message, read_report

LOG = logging.getLogger("fitwell.worker")


class Trainer:
    """A training process. Puts its reports into ``reports``, and None when it dies."""

    def __init__(self, options: Sequence[str], reports: queue.Queue[Message | None]) -> None:
        command = [sys.executable, "-P", "-m", "worker.engine.process", *options]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._reports = reports
        self._lock = threading.Lock()
        threading.Thread(target=self._read_reports, daemon=True, name="training reports").start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def _read_reports(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        with self._process.stdout as lines:
            for line in lines:
                self._reports.put(read_report(line))
        self._process.wait()
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._reports.put(None)

    def send(self, message: Message) -> None:
        """Send an order. Does nothing if the process is dead, which ``reports`` announces."""
        assert self._process.stdin is not None
        with self._lock:
            try:
                self._process.stdin.write(message.line())
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                LOG.warning("training process %d has ended", self.pid)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def wait(self, seconds: float) -> int:
        """Wait for the process to end, kill it after ``seconds``, and return its exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            LOG.warning("training process %d did not end in %.0f s and is killed", self.pid, seconds)
            self._process.kill()
            return self._process.wait()
