"""Recorded epochs and events, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from tests.conftest import measured, submit
from tests.service.workers.claims import one


def test_epoch_recorded_twice_is_recorded_once(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    run_id = submit(runs)
    claim = one(jobs)
    jobs.record([claim], [measured(run_id, 1)])
    version = runs.version(run_id)
    jobs.record([claim], [measured(run_id, 1)])
    assert runs.version(run_id) == version
    assert reader.history(run_id).epoch == [1]


def test_different_values_for_a_recorded_epoch_replace_it_and_later_epochs(
    runs: Runs, reader: RunReader, jobs: Jobs
) -> None:
    run_id = submit(runs)
    claim = one(jobs)
    for number, loss in ((1, 0.5), (2, 0.2), (3, 0.4)):
        jobs.record([claim], [measured(run_id, number, val_loss=loss)])
    assert runs.get(run_id).best == {
        "epoch": 2, "metric": "val.loss", "value": 0.2, "selected_on": "val", "optimistic": False,
    }  # fmt: skip
    jobs.record([claim], [measured(run_id, 2, digest="elsewhere", val_loss=0.3)])
    history = reader.history(run_id)
    assert (history.epoch, history.revision) == ([1, 2], 1)
    assert history.series["val.loss"] == [0.5, 0.3]
    assert (runs.get(run_id).best or {})["value"] == 0.3
    assert [e.data for e in reader.events(run_id) if e.type == "history_rewound"] == [{"from_epoch": 2, "epochs": 2}]


def test_best_uses_test_data_only_without_a_validation_split_and_is_marked_optimistic(runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs)
    jobs.record([one(jobs)], [measured(run_id, 1, test_loss=0.5)])
    assert (runs.get(run_id).best or {})["optimistic"] is True


def test_nonfinite_value_is_null_and_named(runs: Runs, reader: RunReader, jobs: Jobs) -> None:
    run_id = submit(runs)
    jobs.record([one(jobs)], [measured(run_id, 1, val_loss=float("nan"), train_loss=float("inf"))])
    history = reader.history(run_id)
    assert history.series["val.loss"] == [None]
    assert history.nonfinite == {"val.loss": {"1": "nan"}, "train.loss": {"1": "inf"}}


def test_time_left_does_not_follow_the_noise_of_single_epochs(runs: Runs, jobs: Jobs) -> None:
    """Epochs take 2 s on average; the last one alone would say from 100 to 300 s, and change by a third each time."""
    run_id = submit(runs, epochs=100)
    claim = one(jobs)
    left = list[float]()
    for number, seconds in enumerate([0.0, *[3.0, 1.0, 2.5, 1.5] * 15]):
        jobs.record([claim], [replace(measured(run_id, number), seconds=seconds)])
        eta = runs.get(run_id).eta_seconds
        assert (eta is None) == (number == 0)
        left.append(eta or 0.0)
    for number in range(4, 61):
        assert left[number] == pytest.approx(2 * (100 - number), rel=0.11)
    changes = [abs(after + 2 - before) / before for before, after in pairwise(left[4:])]
    assert max(changes) < 0.12


@pytest.mark.slow
def test_event_ids_come_in_commit_order_so_that_a_reader_never_misses_one(
    runs: Runs, reader: RunReader, settings: Settings
) -> None:
    done, event_ids, failures = threading.Event(), list[int](), list[BaseException]()

    def write(worker: int) -> None:
        mine = open_engine(settings)
        try:
            for seed in range(15):
                submit(Runs(mine, settings), seed=1000 * worker + seed)
        except BaseException as error:
            failures.append(error)
        mine.dispose()

    def read() -> None:
        last = 0
        while True:
            over = done.is_set()
            for event in reader.events(None, after=last):
                event_ids.append(event.id)
                last = event.id
            if over:
                return
            time.sleep(0.001)

    follower = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in (follower, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    follower.join()
    assert not failures
    assert event_ids == list(range(1, 61))
