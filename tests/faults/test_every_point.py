"""kill -9 before and after every commit, fsync and rename: what was acknowledged is there, and no bit differs."""

from __future__ import annotations

import signal
from itertools import product
from pathlib import Path
from typing import Any

from fitwell import Run
from tests.faults.system import result_of, system
from tests.patience import scaled

SIDES = ("before", "after")
COMMITS = {
    "register": 1, "claim": 1, "started": 1, "note": 2, "record": 2, "checkpointed": 2, "finish": 1, "heartbeat": 2,
}  # fmt: skip
"""The worker's writing transactions, and of how many in each process a kill is tried."""
FILES_OF_A_RUN = 4
"""Checkpoint and weights of its best epoch, after each of its two epochs."""


def test_run_survives_a_worker_killed_at_every_commit(
    database: str | None, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    plans = [
        f"commit {ordinal} {side} kill {function}"
        for function, most in COMMITS.items()
        for ordinal, side in product(range(1, most + 1), SIDES)
    ]
    with system(tmp_path / "home", database) as under:
        under.start("service")
        runs: list[Run] = []
        before: dict[str, list[int]] = {}
        for order, plan in enumerate(plans):
            while sum(not run.refresh().terminal for run in runs) < 2:  # whose worker has died is not free at once
                runs.append(under.submit())
            under.faults.plan("worker", order, plan)
            worker = under.start("worker")
            assert worker.wait(scaled(60)) == -signal.SIGKILL, (plan, under.output())
            after = {run.id: run.history.epoch for run in runs}
            for run_id, epochs in before.items():
                assert after[run_id][: len(epochs)] == epochs, "an acknowledged epoch is lost"
            before = after
        under.start("worker")
        assert [result_of(under.home, run.wait(scaled(120))) for run in runs] == [undisturbed] * len(runs)
        done = under.faults.log
    assert len(under.faults.names("fired")) == len(plans)
    assert {(side, function) for _, side, function in done} == set(product(SIDES, COMMITS))


def test_run_survives_a_training_process_killed_at_every_fsync_and_rename(
    database: str | None, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    side = "before" if database is None else "after"  # files know no database, so each has one side
    replaced, synced = range(1, FILES_OF_A_RUN + 1), range(1, 2 * FILES_OF_A_RUN + 1)  # the file, its directory
    points = [*(("replace", n) for n in replaced), *(("fsync", n) for n in synced)]
    with system(tmp_path / "home", database) as under:
        under.start("service")
        runs = [under.submit() for _ in [*points, "one past the last"]]
        under.faults.plan("trainer", len(points), f"fsync {2 * FILES_OF_A_RUN + 1} {side} kill {runs[-1].id}")
        for order, (run, (point, ordinal)) in enumerate(zip(runs, points, strict=False)):
            under.faults.plan("trainer", order, f"{point} {ordinal} {side} kill {run.id}")
        under.start("worker")
        results = [result_of(under.home, run.wait(scaled(120))) for run in runs]
        assert results == [undisturbed] * len(runs)
        assert len(under.faults.names("fired")) == len(points), "there are fewer points than this test knows"
        assert len(under.faults.names("taken")) == 1, "there are more of them"
