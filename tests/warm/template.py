"""The process that has imported Fitwell's modules, and forks on request (``python -m tests.warm.template ADDRESS``)."""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

from fastapi.routing import iter_route_contexts

from service.app import with_routes
from tests.plugins.shared_routes import share_document_in, share_routes
from tests.warm import MODULES, fork
from worker.engine.gemm_backend import limit_instructions

IMPORTS = (
    "fitwell.cli", "service.command_line", "service.workers.jobs", "worker.agent",
    "worker.engine.process", "safetensors.torch",
)  # fmt: skip


class Template:
    """Forks on request, and reports the status of each fork that ends to who requested it."""

    def __init__(self, address: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(address)
        self._listening.listen()
        self._woken, waker = socket.socketpair()
        waker.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._children: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Serve until standard input ends, then kill the forks that are left."""
        os.write(1, b"ready\n")
        while True:
            ready, _, _ = select.select([self._listening.fileno(), self._woken.fileno(), 0], [], [])
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
                self._report()
            if self._listening.fileno() in ready:
                self._fork(self._listening.accept()[0])
            if 0 in ready and not os.read(0, 4096):
                break
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _fork(self, client: socket.socket) -> None:
        text, files = b"", array.array("i")
        while not text.endswith(b"\n"):
            part, some, _, _ = socket.recv_fds(client, 2**16, 3)
            text += part
            files.extend(some)
        pid = fork(json.loads(text), files)
        for file in files:
            os.close(file)
        self._children[pid] = client
        client.sendall(b"%d\n" % pid)

    def _report(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with self._children.pop(pid) as client, contextlib.suppress(OSError):
                    client.sendall(b"%d\n" % status)


def main() -> None:
    """Import what processes of Fitwell need, and serve forks."""
    limit_instructions()
    gc.disable()
    for name in IMPORTS:
        importlib.import_module(name)
    share_routes()
    for _ in iter_route_contexts(with_routes().routes):
        pass  # compiled
    share_document_in(Path(sys.argv[1]).with_name("openapi.json"))
    for name in MODULES:
        if not hasattr(sys.modules.get(name), "__path__"):
            sys.modules.pop(name, None)  # which a fork runs itself
    gc.freeze()
    gc.enable()
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, "a process with several threads cannot be forked safely"
    Template(sys.argv[1]).serve()


if __name__ == "__main__":
    main()
