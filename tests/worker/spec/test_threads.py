"""Pieces of work, each on one thread, several at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from tests.patience import scaled
from worker.spec.threads import Threads, each_on_one_thread


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    Threads(before).use()


@pytest.mark.parametrize("threads", [Threads(1), Threads(2), Threads(1, 2), Threads(2, 3), Threads(2, 16)])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_are_in_order_and_torchs_threads_are_restored(threads: Threads, count: int) -> None:
    threads.use()
    observed = each_on_one_thread([partial(lambda i: (i, torch.get_num_threads()), i) for i in range(count)])
    assert observed == [(i, 1) for i in range(count)]
    assert torch.get_num_threads() == threads.products


def test_pieces_are_computed_concurrently() -> None:
    Threads(2, 2).use()
    meeting = threading.Barrier(2, timeout=scaled(10))
    assert sorted(each_on_one_thread([meeting.wait, meeting.wait])) == [0, 1]


@pytest.mark.parametrize("broken", [0, 1])
def test_error_of_a_piece_is_raised_and_torchs_threads_are_restored(broken: int) -> None:
    Threads(2, 2).use()
    with pytest.raises(ZeroDivisionError):
        each_on_one_thread([partial(lambda i: 1 // (i - broken), i) for i in range(2)])
    assert torch.get_num_threads() == 2
