"""Processes of Fitwell that start at once: forks of a template that has imported its modules.

Importing torch and the service takes seconds of a processor, and tests of whole systems start hundreds of processes.
``Popen`` here is ``subprocess.Popen`` but for commands like ``python -P -m worker``: the template, a process with one
thread, forks, and the fork runs the module as ``__main__``, with the arguments, environment, directory and files of the
command. Forks use this ``Popen`` for their own children, so a worker is still the parent of its training process. A
fork differs from a new process only in what was imported before; tests of starts and ends themselves start new
processes (``subprocess.Popen``).
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import importlib.util
import json
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODULES = ("fitwell.cli", "service", "worker", "worker.engine.process")
"""Modules that forks can run."""
SPACE = "-" * 1500
"""An argument of the template: its place in memory is where a fork's own command is written."""


def module_of(command: Sequence[str]) -> str | None:
    """Return the module that a command runs if forks can run it."""
    if command[:1] != [sys.executable] or "-m" not in command[1:3]:
        return None
    module = command[command.index("-m") + 1]
    return module if module in MODULES else None


def suits(environment: Mapping[str, str]) -> bool:
    """Return whether a fork is what a new process would be: no preloaded library, no other tree of modules."""
    folders = [Path(one) for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one]
    return "LD_PRELOAD" not in environment and not any((one / "worker").exists() and one != ROOT for one in folders)


class Popen(subprocess.Popen[bytes]):
    """A process; a fork if its command runs one of ``MODULES``."""

    _status: socket.socket | None = None
    _forked = False

    def _execute_child(self, args: Any, *others: Any) -> None:
        """Start the process; the arguments are those of ``subprocess.Popen``."""
        _, _, _, _, cwd, environment, _, _, _, *pipes = others
        command = [] if isinstance(args, str | bytes | os.PathLike) else [str(one) for one in args]
        if not module_of(command) or not suits(os.environ if environment is None else environment):
            super()._execute_child(args, *others)  # type: ignore[misc]
            return
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = pipes[:6]
        request = {
            "command": command,
            "environment": dict(os.environ if environment is None else environment),
            "directory": str(cwd or Path.cwd()),
            "session": bool(pipes[-2]),
        }
        files = [one if one != -1 else standard for standard, one in enumerate((p2cread, c2pwrite, errwrite))]
        if _in_fork:
            self.pid = fork(request, files)
        else:
            self._status = socket.socket(socket.AF_UNIX)
            self._status.connect(template())
            socket.send_fds(self._status, [json.dumps(request).encode() + b"\n"], files)
            self.pid = int(_line(self._status))
        self._forked = self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        """Return the process's id and status; 0 for the id if it runs, and ``flags`` forbid waiting."""
        if self._status is None:
            result: tuple[int, int] = super()._try_wait(flags)  # type: ignore[misc]
            return result
        if flags & os.WNOHANG and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        status = int(_line(self._status) or 0)
        self._status.close()
        return self.pid, status

    def _internal_poll(self, *others: Any, **named: Any) -> int | None:
        """Return the exit code, or None if the process runs."""
        if self._status is not None and self.returncode is None:
            with self._waitpid_lock:  # type: ignore[attr-defined]
                pid, status = (0, 0) if self.returncode is not None else self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            return self.returncode
        code: int | None = super()._internal_poll(*others, **named)  # type: ignore[misc]
        return code


def fitwell(
    *arguments: str,
    timeout: float,
    text: str | None = None,
    check: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line with ``text`` as its input, and return what it writes."""
    line = [sys.executable, "-m", "fitwell.cli", *arguments]
    pipe = subprocess.PIPE
    with Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=cwd) as process:
        try:
            output, errors = process.communicate((text or "").encode(), timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    done = subprocess.CompletedProcess(line, process.returncode, output.decode(), errors.decode())
    if check:
        done.check_returncode()
    return done


def write_fitwell(folder: Path) -> str:
    """Write the program ``fitwell`` for shells into a folder, and return a PATH on which it is first."""
    folder.mkdir(exist_ok=True)
    line = [sys.executable, "-I", "-S", str(Path(__file__).parent / "command.py"), template()]
    line += [sys.executable, "-m", "fitwell.cli"]
    (folder / "fitwell").write_text(f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n')
    (folder / "fitwell").chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"


def _line(connection: socket.socket) -> bytes:
    """Return a line, byte by byte, so that nothing of the next one is read."""
    line = b""
    while (byte := connection.recv(1)) not in (b"", b"\n"):
        line += byte
    return line


_in_fork = False


@functools.cache
def template() -> str:
    """Start the template of this process, which ends with it, and return the address of its socket."""
    address = Path(tempfile.mkdtemp(prefix="fitwell-template-")) / "socket"
    atexit.register(shutil.rmtree, address.parent, ignore_errors=True)
    command = [sys.executable, "-P", "-m", "tests.warm.template", str(address), SPACE]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}  # NumPy's would be a thread
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(process.kill)
    return str(address)


def fork(request: Mapping[str, Any], files: Sequence[int]) -> int:
    """Run the requested command in a fork, with ``files`` as its standard input, output and error; return its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        _become(request, files)
        code = _run(request["command"])
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _become(request: Mapping[str, Any], files: Sequence[int]) -> None:
    """Make this process what a new one would be: its files, signals, environment, directory and name."""
    global _in_fork  # noqa: PLW0603
    _in_fork = True
    for target, file in enumerate([os.dup(file) for file in files]):
        os.dup2(file, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 2**16 else 2**16)
    signal.set_wakeup_fd(-1)
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if request["session"]:
        os.setsid()
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["-m", *request["command"][request["command"].index("-m") + 2 :]]
    sys.orig_argv = list(request["command"])
    _show(request["command"])
    subprocess.Popen = Popen  # type: ignore[misc, assignment]


def _show(command: Sequence[str]) -> None:
    """Let the system show this command as the process's own: it replaces the template's arguments in memory."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = b"".join(os.fsencode(one) + b"\0" for one in command)[: end - start - 1]
    ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


def _run(command: Sequence[str]) -> int:
    """Run the command's module as ``__main__`` and return the exit code, after its threads have ended."""
    for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if (customized := Path(folder) / "sitecustomize.py").exists():
            spec = importlib.util.spec_from_file_location("sitecustomize", customized)
            assert spec is not None
            assert spec.loader is not None
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    code: object = 0
    try:
        module = module_of(command)
        assert module is not None
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    return int(code or 0)  # type: ignore[call-overload, no-any-return]
