"""The stream of all events, cut at random while several processes write, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
CUTS, RUNS, EPOCHS, WORKERS = 20, 24, 40, 3
BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 100},
    "model": {"kind": "mlp", "hidden": [8]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": EPOCHS,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serving]:
    """With three workers, each writing epochs of its own stacks."""
    more = {}
    if request.param == "postgresql":
        more["FITWELL_DATABASE_URL"] = request.getfixturevalue("postgresql_database")
    with serving(tmp_path / "home", workers=WORKERS, **more) as one:
        yield one


def test_client_disconnected_twenty_times_yields_every_event_once(served: Serving) -> None:
    chance, epochs, cuts, ended = random.Random(0), list[int](), 0, set[str]()

    def submit() -> None:
        for seed in range(RUNS):  # one by one, so that the API writes while the workers do
            model = {"kind": "mlp", "hidden": [8 + seed % 3]}
            served.client.runs.create(**{**BASE, "model": model, "seed": seed})

    writer = threading.Thread(target=submit)
    writer.start()
    while len(ended) < RUNS or cuts < CUTS:
        stream = served.client.transport.events("/v1/events", epochs[-1] if epochs else 0)
        for _, message in zip(range(chance.randint(1, 60)), (m for m in stream if m.data), strict=False):
            event = json.loads(message.data)
            epochs.append(event["id"])
            if event["type"] == "run.succeeded":
                ended.add(event["run_id"])
            if len(ended) == RUNS and cuts >= CUTS:
                break
        stream.close()  # type: ignore[attr-defined]
        cuts += 1
    writer.join()
    every, after = list[int](), 0
    while True:
        page = served.client.transport.request("GET", "/v1/events", params={"after": after, "limit": 1000}).json()
        every += [event["id"] for event in page["data"]]
        if not page["has_more"]:
            break
        after = int(page["next_cursor"])
    assert epochs == every[: len(epochs)]
    assert len(set(epochs)) == len(epochs) >= RUNS * EPOCHS
    assert epochs[-1] == every[-1]
