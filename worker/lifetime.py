"""End a process together with the process that started it, even if that one is killed (``SIGKILL``).

Every process that Fitwell starts gets a pipe as its standard input. The parent holds the other end open for as long as
it lives; when it dies, however it dies, the kernel closes that end and the child reads end-of-file. This works on Linux
and macOS alike. On Linux the kernel also kills children that compute (``PR_SET_PDEATHSIG``), because a long call into
native code may keep every other thread of such a child from running.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time

LOG = logging.getLogger("fitwell.lifetime")
OPTION = "--end-with-parent"
GRACE_SECONDS = 8.0
"""How long an orderly end may take: as long as saving what is being trained, and less than 10 s in all."""
PR_SET_PDEATHSIG = 1


def end_with_parent(grace_seconds: float = GRACE_SECONDS) -> None:
    """Watch standard input: at its end, end this process as SIGTERM does, and kill it ``grace_seconds`` later."""
    main = threading.main_thread().ident
    assert main is not None

    def follow() -> None:
        _read_to_end()
        LOG.warning("the parent process died; ending")
        signal.pthread_kill(main, signal.SIGTERM)
        time.sleep(grace_seconds)
        os._exit(1)

    threading.Thread(target=follow, daemon=True, name="parent").start()


def die_with_parent() -> None:
    """Watch standard input: at its end, end this process at once. Nothing else may read standard input."""
    kill_with_parent()

    def follow() -> None:
        _read_to_end()
        os._exit(1)

    threading.Thread(target=follow, daemon=True, name="parent").start()


def kill_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends. Does nothing except on Linux.

    Only for processes whose parent's thread lives as long as it needs them. A parent that dies before this call is
    noticed by the end of standard input, which avoids a race.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _read_to_end() -> None:
    """Return when standard input ends; whatever it holds is discarded."""
    while os.read(0, 4096):
        pass
