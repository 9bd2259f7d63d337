"""The service's side of the predictor process: started on demand, kept warm, replaced when it dies or hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from service.errors import TookTooLong, Unavailable
from service.sandbox.predicting.messages import LENGTHS, TOO_LARGE, Answer, Message, Refused, reply_of
from service.sandbox.serial_queue import RETRY_SOON, SerialQueue
from worker import logs

LOG = logging.getLogger("fitwell.predicting")
START_SECONDS = 30
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
"""How native code usually ends in a sandbox when an allocation fails unchecked."""
INHERITED = (
    "PATH",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "HOME",
    logs.LEVEL,
    logs.FORM,
)
"""Environment variables passed to the process; the service's secrets are not among them."""


class Predictor:
    """One process that serves one order at a time, each within ``seconds``."""

    def __init__(self, *, datasets: Path, cache: Path, memory: int, seconds: float) -> None:
        self._options = ["--datasets", str(datasets), "--memory", str(memory), "--seconds", str(seconds)]
        self._cache = cache
        self._seconds = seconds
        self._process: asyncio.subprocess.Process | None = None
        self._queue = SerialQueue(seconds)

    @property
    def pid(self) -> int | None:
        """The process's id; None if it is not running."""
        return None if self._process is None else self._process.pid

    async def call(self, order: Message, content: bytes = b"") -> tuple[Answer | Refused, bytes]:
        """Send an order, and return the reply and its bytes.

        Raises:
            Unavailable: Too many requests are waiting, or the process died; a retry may succeed.
            TookTooLong: The order was not done in time, and the process was killed.
        """
        async with self._queue.slot():
            process = await self._started()
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._exchange(process, order.frame(content))
            except TimeoutError as error:
                raise self._too_long("") from error

    async def _exchange(self, process: asyncio.subprocess.Process, frame: bytes) -> tuple[Answer | Refused, bytes]:
        """Send a frame, which may be empty, and read the reply."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(frame)
            await process.stdin.drain()
            text, more = LENGTHS.unpack(await process.stdout.readexactly(LENGTHS.size))
            return reply_of(await process.stdout.readexactly(text)), await process.stdout.readexactly(more)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            return self._ended(await process.wait(), error), b""
        except BaseException:  # a late reply would be treated as the reply to the next order
            await self.close()
            raise

    async def _started(self) -> asyncio.subprocess.Process:
        """Return the running process, starting it if necessary; the start does not count against ``seconds``."""
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self.close()
        self._cache.mkdir(parents=True, exist_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "service.sandbox.predicting.process", *self._options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(os.environ),
            start_new_session=True,
        )
        LOG.info("started the predictor process %d", self._process.pid)
        try:
            async with asyncio.timeout(START_SECONDS):
                reply, _ = await self._exchange(self._process, b"")
        except TimeoutError as error:
            raise Unavailable(f"The predictor process did not start within {START_SECONDS} s.") from error
        if isinstance(reply, Refused):  # a crash before any order
            raise Unavailable("The predictor process crashed at start; see the server's log.", headers=RETRY_SOON)
        return self._process

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: own[name] for name in INHERITED if name in own}
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        return {**inherited, **one_thread, "MPLCONFIGDIR": str(self._cache / "matplotlib")}

    def _ended(self, code: int, error: Exception) -> Refused:
        """Return the reply for a process that ended while serving an order.

        Raises:
            Unavailable: It was killed; a retry may succeed.
            TookTooLong: It used up its processor time.
        """
        if code >= 0:
            raise RuntimeError(f"the predictor process exited with code {code}; see its log above") from error
        name = signal.Signals(-code).name
        LOG.warning("the predictor process was killed by %s", name)
        if -code in CRASHES:
            return TOO_LARGE
        if -code == signal.SIGXCPU:
            raise self._too_long(" of processor time") from error
        raise Unavailable(
            f"The predictor process was killed by {name} while serving this request. Try again; a new one is started.",
            headers=RETRY_SOON,
        ) from error

    def _too_long(self, unit: str) -> TookTooLong:
        return TookTooLong(
            f"The request took longer than {self._seconds:g} s{unit} (FITWELL_PREDICT_SECONDS). Request fewer rows."
        )

    async def close(self) -> None:
        """Kill the process and wait for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
