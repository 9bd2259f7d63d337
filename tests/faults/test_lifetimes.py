"""``kill -9`` of any process leaves no process behind that it started, directly or indirectly.

With ``-s`` each test prints its row of the table in docs/durability.md.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import fitwell
from tests import warm
from tests.faults.system import LONG, SPEC, alive
from tests.patience import eventually
from tests.processes import Serving, ServingAnew, free_port, quick_settings, serving, serving_anew

MAX_SECONDS = 10.0
ROLES = {
    "service": "service",
    "worker": "worker",
    "worker.engine.process": "trainer",
    "service.sandbox.predicting.process": "predictor",
    "service.sandbox.parsing": "parser",
}
CSV = b"a,b,c\n" + b"1,2,a\n3,4,b\n" * 2_000_000
"""Takes some seconds to read."""
ENDLESS: dict[str, Any] = {**LONG, "epochs": 100_000}


def descendants(pid: int) -> dict[psutil.Process, str]:
    """Every process that the process ``pid`` started, directly or indirectly, and its role."""
    roles = {}
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            roles[process] = ROLES.get(command[command.index("-m") + 1], "other") if "-m" in command else "other"
    return roles


def with_role(pid: int, role: str) -> psutil.Process:
    """The first descendant with this role, once it exists."""

    def search() -> psutil.Process | None:
        return next((process for process, other in descendants(pid).items() if other == role), None)

    process: psutil.Process = eventually(search)
    return process


def send_csv(url: str) -> None:
    """Upload a large file, ignoring the response."""
    with contextlib.suppress(fitwell.FitwellError), fitwell.Client(url) as client:
        client.transport.request(
            "POST", "/v1/datasets", params={"target": "c"}, headers={"content-type": "text/csv"},
            content=lambda: iter([CSV]), repeatable=False, timeout=60,
        )  # fmt: skip


def occupy(client: fitwell.Client, *, trains: bool = True) -> None:
    """Have something trained, a prediction made and a file parsed."""
    if trains:
        client.runs.create(**SPEC).wait(60).predict([[0] * 64])
        client.runs.create(**ENDLESS)
    threading.Thread(target=send_csv, args=(client.transport.url,), daemon=True).start()


def seconds_until_gone(processes: dict[psutil.Process, str], began: float) -> dict[str, float]:
    """After how many seconds the last process of each role had ended; fails if one lives on."""
    seconds = {}
    left = dict(processes)
    while left:
        for process in [process for process in left if not alive(process)]:
            seconds[left.pop(process)] = time.monotonic() - began
        lived = time.monotonic() - began
        assert lived < MAX_SECONDS, f"after {lived:.1f} s there are still {sorted(left.values())}"
        time.sleep(0.02)
    return seconds


def kill_and_measure(name: str, victim: psutil.Process, expected: set[str]) -> None:
    """Kill a process with SIGKILL, hold that all it started ends in time, and print how long that took."""
    started = descendants(victim.pid)
    assert expected <= set(started.values())
    began = time.monotonic()
    victim.kill()
    seconds = seconds_until_gone(started, began)
    lived = ", ".join(f"{role} {lived:.1f} s" for role, lived in sorted(seconds.items())) or "nothing"
    print(f"\n| {name} | {lived} |")  # noqa: T201


@contextmanager
def command(verb: str, home: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the command line."""
    line = [sys.executable, "-m", "fitwell.cli", verb, "--data-dir", str(home), *arguments]
    with warm.Popen(line, env={**os.environ, **quick_settings()}, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def busy(served: Serving) -> Iterator[Serving]:
    """Yield a ``fitwell serve`` that trains, has predicted, and parses an upload."""
    try:
        occupy(served.client)
        for role in ("trainer", "predictor", "parser"):
            with_role(served.process.pid, role)
        yield served
    finally:
        served.stop()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    """A busy ``fitwell serve`` whose processes are forks."""
    with busy(Serving(tmp_path / "home", free_port())) as one:
        yield one


ALL = {"service", "worker", "trainer", "predictor", "parser"}


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("service", {"predictor", "parser"}),
        ("worker", {"trainer"}),
        ("trainer", set()),
        ("predictor", set()),
        ("parser", set()),
    ],
)
def test_killed_process_under_serve_leaves_nothing_behind(role: str, expected: set[str], served: Serving) -> None:
    kill_and_measure(f"`{role}`", with_role(served.process.pid, role), expected)


def test_killed_serve_leaves_nothing_behind(tmp_path: Path) -> None:
    """With new processes, as users start them; those of other tests are forks."""
    with busy(ServingAnew(tmp_path / "home", free_port())) as one:
        kill_and_measure("`serve`", psutil.Process(one.process.pid), ALL)


def test_killed_api_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    with (
        command("worker", tmp_path / "home") as trainer,
        command("api", tmp_path / "home", "--port", str(port)) as api,
        fitwell.Client(f"http://127.0.0.1:{port}") as client,
    ):
        eventually(lambda: answers(client))
        occupy(client)
        for role in ("predictor", "parser"):
            with_role(api.pid, role)
        kill_and_measure("`fitwell api`", psutil.Process(api.pid), {"predictor", "parser"})
        with_role(trainer.pid, "trainer")
        kill_and_measure("`fitwell worker`", psutil.Process(trainer.pid), {"trainer"})


def answers(client: fitwell.Client) -> bool:
    """Whether the API is ready."""
    with contextlib.suppress(fitwell.FitwellError):
        return client.transport.request("GET", "/readyz").status_code == 200
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a process that cannot run")
@pytest.mark.parametrize("role", ["trainer", "predictor", "parser"])
def test_computing_process_that_cannot_react_is_killed_by_the_kernel(role: str, served: Serving) -> None:
    process = with_role(served.process.pid, role)
    parent = process.parent()
    assert parent is not None
    eventually(lambda: process.num_threads() > 1)  # it has come so far as to watch its parent
    process.send_signal(signal.SIGSTOP)
    kill_and_measure(f"parent of a `{role}` that is stopped (SIGSTOP)", parent, {role})


def test_run_resumes_with_the_same_bits_after_serve_was_killed(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    with serving_anew(home, port, FITWELL_CHECKPOINT_SECONDS="3600") as first:
        run = first.client.runs.create(**LONG)
        eventually(lambda: run.refresh().progress.epoch >= 8)
        kill_and_measure("`serve` while it trains", psutil.Process(first.process.pid), {"worker", "trainer"})
    with serving(home, port) as second:
        resumed = second.client.runs.get(run.id).wait(60)
        assert any("resumes from its checkpoint" in line.text for line in resumed.log()), "saved on its orderly end"
        fresh = second.client.runs.create(reuse=False, **LONG).wait(60)
        assert resumed.determinism is not None
        assert fresh.determinism is not None
        assert resumed.determinism.digest == fresh.determinism.digest
        assert resumed.history.revision == 0
