"""The limited process as the service sees it: started when it is needed, kept warm, replaced when it dies or hangs."""

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
from service.sandbox.serial_queue import SOON, Turns
from worker import logs

LOG = logging.getLogger("fitwell.predicting")
START_SECONDS = 30
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
"""How native code ends where it was given no memory and did not look; a limited process seldom has another reason."""
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
"""What the process needs of the environment; the service's secrets are not among it."""


class Limited:
    """One process that does one thing after the other, each within ``seconds``."""

    def __init__(self, *, datasets: Path, cache: Path, memory: int, seconds: float) -> None:
        self._options = ["--datasets", str(datasets), "--memory", str(memory), "--seconds", str(seconds)]
        self._cache = cache
        self._seconds = seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turns = Turns(seconds)

    @property
    def pid(self) -> int | None:
        """The process's id, where there is one."""
        return None if self._process is None else self._process.pid

    async def ask(self, order: Message, content: bytes = b"") -> tuple[Answer | Refused, bytes]:
        """What comes of an order, and the bytes that come with it.

        Raises:
            Unavailable: too many others wait, or the process died over it; asking again may help.
            TookTooLong: it was not done in time, and the process was ended.
        """
        async with self._turns.own():
            process = await self._started()
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._exchange(process, order.frame(content))
            except TimeoutError as error:
                raise self._too_long("") from error

    async def _exchange(self, process: asyncio.subprocess.Process, frame: bytes) -> tuple[Answer | Refused, bytes]:
        """Send a frame, if there is one, and read the reply."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(frame)
            await process.stdin.drain()
            text, more = LENGTHS.unpack(await process.stdout.readexactly(LENGTHS.size))
            return reply_of(await process.stdout.readexactly(text)), await process.stdout.readexactly(more)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            return self._ended(await process.wait(), error), b""
        except BaseException:  # what it says from now on would be taken for the answer to something else
            await self.close()
            raise

    async def _started(self) -> asyncio.subprocess.Process:
        """The process, which is ready; starting it costs nobody's time."""
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
        LOG.info("the process that predicts and draws is %d", self._process.pid)
        try:
            async with asyncio.timeout(START_SECONDS):
                reply, _ = await self._exchange(self._process, b"")
        except TimeoutError as error:
            raise Unavailable(f"The process that does this did not start within {START_SECONDS} s.") from error
        if isinstance(reply, Refused):  # before it was asked for anything that could be too large
            raise Unavailable("The process that does this crashed at its start; the log says how.", headers=SOON)
        return self._process

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        kept = {name: own[name] for name in INHERITED if name in own}
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        return {**kept, **one_thread, "MPLCONFIGDIR": str(self._cache / "matplotlib")}

    def _ended(self, code: int, error: Exception) -> Refused:
        """What to tell of the process's end in the middle of its work.

        Raises:
            Unavailable: it is nobody's fault, and asking again may help.
            TookTooLong: it had no processor time left.
        """
        if code >= 0:
            why = f"the process that predicts ended with {code}; the reason is in the log before this"
            raise RuntimeError(why) from error
        name = signal.Signals(-code).name
        LOG.warning("the process that predicts and draws was ended by %s", name)
        if -code in CRASHES:
            return TOO_LARGE
        if -code == signal.SIGXCPU:
            raise self._too_long(" of processor time") from error
        raise Unavailable(
            f"The process that does this was ended by {name} in the middle of it; the next request gets a new one.",
            headers=SOON,
        ) from error

    def _too_long(self, what: str) -> TookTooLong:
        return TookTooLong(
            f"It was not done in {self._seconds:g} s{what} (FITWELL_PREDICT_SECONDS). Ask for less at once."
        )

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
