"""A child process ends with its parent: by the end of its standard input, without any help of the kernel's."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from service.sandbox.predicting.messages import DrawCurve

pytestmark = pytest.mark.slow

WORKS_ON = "print('ready', flush=True)\nwhile True: time.sleep(0.1)\n"
ORDERLY = """
import signal, sys, time
from worker import lifetime
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
lifetime.end_with_parent(30)
"""
DEAF = """
import signal, time
from worker import lifetime
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lifetime.end_with_parent(0.5)
"""
AT_ONCE = """
import time
from worker import lifetime
lifetime.die_with_parent()
"""
BUSY_PREDICTOR = """
import sys, time
from service.sandbox.predicting import process
def stay_busy(*_):
    print('ready', file=sys.stderr, flush=True)
    time.sleep(300)
assert callable(process.serve_order)
process.serve_order = stay_busy
process.main(['--datasets', '.', '--memory', str(2**33), '--seconds', '300'])
"""
CURVE = DrawCurve(
    title="", epochs=(1,), series={"val.loss": (1.0,)}, best=None, form="svg", width=400, height=300, log=False,
    theme="light",
)  # fmt: skip


def seconds_until_end(process: subprocess.Popen[bytes]) -> float:
    """How long a process lives on after its standard input ended."""
    assert process.stdin is not None
    began = time.monotonic()
    process.stdin.close()
    process.wait(20)
    return time.monotonic() - began


@pytest.mark.parametrize(("program", "code"), [(ORDERLY, 7), (DEAF, 1), (AT_ONCE, 1)])
def test_process_ends_when_its_standard_input_ends(program: str, code: int) -> None:
    command = [sys.executable, "-c", program + WORKS_ON]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert process.poll() is None
        assert seconds_until_end(process) < 10
        assert process.returncode == code


def test_busy_predictor_ends_when_its_standard_input_ends() -> None:
    command = [sys.executable, "-c", BUSY_PREDICTOR]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(CURVE.frame())
        process.stdin.flush()
        assert process.stderr.readline() == b"ready\n"
        assert seconds_until_end(process) < 10
