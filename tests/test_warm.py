"""Forks of the template behave as new processes do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import warm
from tests.patience import eventually

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-P", "-m", "worker"]


def test_fork_writes_and_exits_as_a_new_process_does(tmp_path: Path) -> None:
    for arguments in (["data"], ["nonsense"], ["fetch", "mnist", "--nonsense"]):
        environment = {**os.environ, "FITWELL_DATA_DIR": str(tmp_path)}
        results = []
        for start in (warm.Popen, subprocess.Popen):
            with start(
                [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                results.append((*process.communicate(), process.returncode))
        assert results[0] == results[1]


def test_fork_has_its_own_command_directory_environment_and_session(tmp_path: Path) -> None:
    environment = {**os.environ, "FITWELL_DATA_DIR": str(tmp_path / "home"), "FITWELL_POLL_SECONDS": "0.5"}
    process = warm.Popen(COMMAND, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        fork = psutil.Process(process.pid)
        eventually((tmp_path / "home").exists)
        assert fork.cmdline()[: len(COMMAND)] == COMMAND
        assert Path(fork.cwd()) == tmp_path
        assert os.getsid(process.pid) == process.pid
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)  # the latter before its handler is installed
    finally:
        process.kill()


def test_killed_fork_reports_its_signal(tmp_path: Path) -> None:
    process = warm.Popen(COMMAND, stderr=subprocess.DEVNULL, env={**os.environ, "FITWELL_DATA_DIR": str(tmp_path)})
    process.kill()
    assert process.wait(30) == -signal.SIGKILL


def test_shells_run_commands_in_forks(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": warm.write_fitwell(tmp_path / "bin")}
    shell = ["bash", "-c", "fitwell nonsense; echo $?; cd /; fitwell validate - < /dev/null; echo $?"]
    results = []
    installed = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for path in (environment["PATH"], installed):
        with subprocess.Popen(
            shell, env={**environment, "PATH": path}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            results.append(process.communicate())
    assert results[0] == results[1]
    assert results[0][0] == b"2\n2\n"


def test_shells_stop_forks(tmp_path: Path) -> None:
    path = warm.write_fitwell(tmp_path / "bin")
    shell = ["bash", "-c", "exec fitwell serve --data-dir home --workers 0 --port 0"]
    with subprocess.Popen(shell, env={**os.environ, "PATH": path}, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        eventually((tmp_path / "home" / "fitwell.db").exists)
        process.terminate()
        assert process.wait(30) in (0, -signal.SIGTERM)


def test_command_line_returns_text_and_exit_code() -> None:
    assert "Usage: " in warm.fitwell("--help", timeout=30).stdout
    assert warm.fitwell("nonsense", timeout=30).returncode == 2
    with pytest.raises(subprocess.CalledProcessError):
        warm.fitwell("nonsense", timeout=30, check=True)


def test_other_commands_are_new_processes() -> None:
    assert subprocess.Popen is not warm.Popen
    with warm.Popen([sys.executable, "-c", "print(1 + 1)"], stdout=subprocess.PIPE) as process:
        assert process.communicate()[0] == b"2\n"
