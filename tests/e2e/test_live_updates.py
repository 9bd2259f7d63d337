"""Event streams and long polls of a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.patience import eventually, scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]


SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [32]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 8,
}


LONG: dict[str, Any] = {**SPEC, "epochs": 100_000}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("serve") / "home") as one:
        yield one


def test_stream_yields_every_event_once_and_ends(served: Serving) -> None:
    run = served.client.runs.create(seed=11, **SPEC)
    events = list(run.stream())
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    assert [event.data["epoch"] for event in events if event.type == "epoch"] == list(range(1, 9))
    assert (events[0].type, events[-1].type) == ("run.created", "run.succeeded")


def test_stream_resumes_behind_any_event(served: Serving) -> None:
    run = served.client.runs.create(seed=12, **{**SPEC, "epochs": 40})
    ids = list[int]()
    while True:
        stream = run.stream(after=ids[-1] if ids else 0)
        for _, event in zip(range(3), stream, strict=False):
            ids.append(event.id)
            if event.type == "run.succeeded":
                break
        stream.close()  # type: ignore[attr-defined]
        if run.refresh().terminal and ids[-1] == list(run.stream())[-1].id:
            break
    assert ids == [event.id for event in run.stream()]


def test_long_poll_returns_on_change_or_after_its_wait(served: Serving) -> None:
    run = served.client.runs.create(seed=13, **LONG)
    eventually(lambda: run.refresh().status == "running")
    url = f"{served.client.transport.url}/v1/runs/{run.id}"
    changed = httpx2.get(url)
    run.cancel()
    while not changed.json()["terminal"]:
        tag = changed.headers["etag"]
        changed = httpx2.get(url, headers={"if-none-match": tag, "prefer": "wait=15"}, timeout=scaled(20))
        assert changed.status_code == 200
    assert changed.json()["status"] == "cancelled"
    began = time.monotonic()
    same = httpx2.get(url, headers={"if-none-match": changed.headers["etag"], "prefer": "wait=1"}, timeout=scaled(20))
    assert (same.status_code, same.headers["preference-applied"]) == (304, "wait=1")
    assert time.monotonic() - began >= 0.9


def test_long_poll_returns_after_the_next_epoch(served: Serving) -> None:
    run = served.client.runs.create(seed=14, **LONG)
    url = f"{served.client.transport.url}/v1/runs/{run.id}"
    first = httpx2.get(url)
    answer = httpx2.get(url, headers={"if-none-match": first.headers["etag"], "prefer": "wait=20"}, timeout=scaled(30))
    assert answer.status_code == 200
    assert answer.headers["etag"] != first.headers["etag"]
    run.cancel()
    eventually(lambda: run.refresh().status == "cancelled", 12)


def test_many_open_streams_do_not_delay_other_requests(served: Serving) -> None:
    run = served.client.runs.create(seed=61, **LONG)
    url = f"{served.client.transport.url}/v1/runs/{run.id}/events"

    def listen() -> None:
        with httpx2.stream("GET", url, headers={"accept": "text/event-stream"}, timeout=scaled(30)) as stream:
            for _ in stream.iter_lines():
                pass

    threads = [threading.Thread(target=listen, daemon=True) for _ in range(60)]
    for thread in threads:
        thread.start()
    eventually(lambda: run.refresh().status == "running")
    assert httpx2.get(f"{served.client.transport.url}/healthz", timeout=scaled(5)).status_code == 200
    run.cancel()
    for thread in threads:
        thread.join(scaled(20))
    assert not any(thread.is_alive() for thread in threads)
