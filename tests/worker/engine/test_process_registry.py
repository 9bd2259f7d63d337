"""Training processes that share a machine count each other, the dead left out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from worker.engine.process_registry import STALE_SECONDS, ProcessRegistry

PROGRAM = """
import sys, time
from pathlib import Path
from worker.engine.process_registry import ProcessRegistry
with ProcessRegistry(Path(sys.argv[1])).at_work():
    print("at work", flush=True)
    time.sleep(60)
"""


def test_running_processes_are_counted_and_killed_ones_are_not(tmp_path: Path) -> None:
    mine = ProcessRegistry(tmp_path / "common")
    assert mine.count() == 1
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "common")]
    other = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    assert mine.count() == 2
    with mine.at_work():
        assert (mine.count(), ProcessRegistry(tmp_path / "common").count()) == (2, 3)
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    assert mine.count() == 1
    (left,) = (tmp_path / "common").iterdir()
    os.utime(left, (0, left.stat().st_mtime - 2 * STALE_SECONDS))
    assert mine.count() == 1
    assert not left.exists()


def test_unusable_directory_disables_sharing_but_not_training(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("not a directory")
    lonely = ProcessRegistry(tmp_path / "taken" / "training")
    with lonely.at_work():
        assert lonely.count() == 1
