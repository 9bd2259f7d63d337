"""Python imports this at the start of every process of a system under test, which then does the fault that is planned
for it, and leaves a proof that it did.

A plan is a file in the directory FITWELL_TEST_FAULTS, named by role and order (``worker-003``). It holds ``POINT
ORDINAL SIDE DEED WHERE``, such as ``commit 2 before kill record`` or ``fsync 2 before 28`` (an errno); the third deed
is ``stop``. WHERE is a function for commits, a part of the path for files; without it all count. A process takes the
first plan of its role at its start, and names the file ``fired-…``, and the function that it is in, just before it does
the deed.

Points are commits of writing transactions, and fsync and replace of files.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROLES = {"service": "service", "worker": "worker", "worker.engine.process": "trainer"}


class Fault:
    """One deed at one point."""

    def __init__(self, plan: Path) -> None:
        self._plan = plan
        self.point, ordinal, self._side, self._deed, *where = plan.read_text().split()
        self._left, self._where = int(ordinal), where[0] if where else None
        self._lock = threading.Lock()

    def around(self, point: str, call: Callable[..., Any], path_of: Callable[..., str]) -> Callable[..., Any]:
        """``call`` with the fault before or after it, if it is one of ``point``."""

        def reached(*arguments: Any, **named: Any) -> Any:
            counts = point == self.point and (self._where is None or self._where in path_of(*arguments))
            now = counts and self._counted()
            if now and self._side == "before":
                self._do(point)
            answer = call(*arguments, **named)
            if now and self._side == "after":
                self._do(point)
            return answer

        return reached

    def _counted(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left == 0

    def _do(self, point: str) -> None:
        self._plan.rename(self._plan.with_name(f"fired-{self._plan.name.split('-', 1)[1]}"))
        with self._plan.parent.joinpath("log").open("a") as log:
            log.write(f"{point} {self._side} {_caller()}\n")
        if self._deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._deed == "stop":  # until the test resumes it
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        raise OSError(int(self._deed), os.strerror(int(self._deed)))


def _caller() -> str:
    """The nearest public function of ours that the point was reached from."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        ours = any(f"/{part}/" in code.co_filename for part in ("service", "worker"))
        if ours and not code.co_name.startswith(("_", "<")) and code.co_name not in ("writing", "work"):
            return code.co_name
        frame = frame.f_back
    return "?"


def _planned(directory: Path) -> Fault | None:
    """The first plan that is left for this process's role."""
    command = sys.orig_argv
    role = ROLES.get(command[command.index("-m") + 1]) if "-m" in command[:-1] else None
    for plan in sorted(directory.glob(f"{role}-*")):
        try:
            return Fault(plan.rename(plan.with_name(f"taken-{plan.name}")))
        except FileNotFoundError:  # another process was quicker
            continue
    return None


def _install(fault: Fault) -> None:
    if fault.point == "commit":
        from sqlalchemy.engine import Connection

        plain = Connection._commit_impl
        writing = fault.around("commit", plain, lambda *_: _caller())

        def commit(connection: Connection) -> None:
            writes = connection.get_execution_options().get("write", True)
            (writing if writes else plain)(connection)

        setattr(Connection, "_commit_impl", commit)  # noqa: B010 - private: SQLAlchemy has no hook here
    os.fsync = fault.around("fsync", os.fsync, lambda fd: str(Path(f"/proc/self/fd/{fd}").readlink()))
    os.replace = fault.around("replace", os.replace, lambda _, target: str(target))


if directory := os.environ.get("FITWELL_TEST_FAULTS"):
    fault = _planned(Path(directory))
    if fault is not None:
        _install(fault)
