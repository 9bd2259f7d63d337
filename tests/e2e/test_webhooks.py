"""Webhooks of real servers that die, end and share a database: each delivery arrives with one id and is noted once."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import BODY
from tests.patience import eventually, scaled
from tests.processes import Serving, free_port, serving
from tests.receiver import receiving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATH = "/v1/webhook_endpoints"


@pytest.fixture(params=["sqlite", "postgresql"])
def more(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings: a database of either kind, and targets on this machine."""
    settings = {"FITWELL_WEBHOOK_ALLOW_PRIVATE": "1"}
    if request.param == "postgresql":
        settings["FITWELL_DATABASE_URL"] = request.getfixturevalue("postgresql_database")
    return settings


def ask(served: Serving, method: str, path: str, **body: Any) -> Any:
    return served.client.transport.request(method, path, json=body or None).json()


def ended_runs(served: Serving, seeds: range) -> list[str]:
    """Runs that have come to an end, one way or another."""
    ids = [served.client.runs.create(**BODY, seed=seed).id for seed in seeds]
    for run_id in ids:
        served.client.runs.get(run_id).cancel()
    return ids


def log(served: Serving, endpoint_id: str) -> list[Any]:
    listed: list[Any] = ask(served, "GET", f"{PATH}/{endpoint_id}/deliveries?limit=1000")["data"]
    return listed


def kill(served: Serving) -> None:
    service = served.part("service")
    assert service is not None
    service.kill()
    served.process.wait(scaled(30))


def test_server_killed_between_attempts_delivers_everything_once(more: dict[str, str], tmp_path: Path) -> None:
    with receiving(500, 500, 500) as receiver:
        with serving(tmp_path / "home", None, workers=0, **more) as served:
            endpoint = ask(served, "POST", PATH, url=receiver.url)
            run_ids = ended_runs(served, range(3))
            eventually(lambda: sum(len(one["attempts"]) for one in log(served, endpoint["id"])) == 3)
            kill(served)
        with serving(tmp_path / "home", None, workers=0, **more) as served:
            eventually(lambda: all(one["status"] == "succeeded" for one in log(served, endpoint["id"])))
            time.sleep(2)
            deliveries = log(served, endpoint["id"])
    assert sorted(one["payload"]["data"]["run_id"] for one in deliveries) == sorted(run_ids)
    assert [[a["status_code"] for a in one["attempts"]] for one in deliveries] == [[500, 204]] * 3
    assert Counter(receiver.ids) == {one["id"]: 2 for one in deliveries}
    for came in receiver.came:
        came.verified(endpoint["secret"])


def test_server_stopped_in_an_attempt_ends_soon_and_the_next_one_resends(more: dict[str, str], tmp_path: Path) -> None:
    def hang(_: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(20)

    with receiving(hang) as receiver:
        with serving(tmp_path / "home", None, workers=0, **more) as served:
            endpoint = ask(served, "POST", PATH, url=receiver.url)
            ended_runs(served, range(1))
            eventually(lambda: receiver.came)
            began = time.monotonic()
            assert served.stop() == 0
            assert time.monotonic() - began < scaled(8)
            assert "Traceback" not in served.output()
            assert receiver.url not in served.output()  # a URL may hold a secret
        with serving(tmp_path / "home", None, workers=0, **more) as served:
            (one,) = eventually(lambda: [d for d in log(served, endpoint["id"]) if d["status"] == "succeeded"])
    assert receiver.ids == [one["id"]] * 2
    assert [attempt["number"] for attempt in one["attempts"]] == [1]


@pytest.fixture
def two(more: dict[str, str], tmp_path: Path) -> Iterator[list[Serving]]:
    """Two services on one database."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(tmp_path / "home", None, workers=0, **more)) for _ in range(2)]


def test_two_services_on_one_database_send_each_delivery_once(two: list[Serving]) -> None:
    def slowly(request: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(0.05)
        request.send_response(200)
        request.end_headers()

    with receiving(default=slowly) as first, receiving(default=slowly) as second:
        endpoints = [ask(two[n], "POST", PATH, url=receiver.url) for n, receiver in enumerate((first, second))]
        run_ids = ended_runs(two[0], range(30)) + ended_runs(two[1], range(100, 130))

        def all_taken() -> bool:
            return all(
                len(receiver.came) >= 60 and {one["status"] for one in log(two[0], endpoint["id"])} == {"succeeded"}
                for receiver, endpoint in zip((first, second), endpoints, strict=True)
            )

        eventually(all_taken)
        time.sleep(1.5)
    for receiver, endpoint in zip((first, second), endpoints, strict=True):
        deliveries = log(two[1], endpoint["id"])
        assert sorted(one["payload"]["data"]["run_id"] for one in deliveries) == sorted(run_ids)
        assert Counter(receiver.ids) == {one["id"]: 1 for one in deliveries}
        assert {len(one["attempts"]) for one in deliveries} == {1}


def test_example_receiver_accepts_genuine_deliveries_once_and_refuses_others(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path / "home", workers=0, FITWELL_WEBHOOK_ALLOW_PRIVATE="1") as served:
        endpoint = ask(served, "POST", PATH, url=f"http://127.0.0.1:{port}/")
        environment = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": endpoint["secret"]}
        command = [sys.executable, str(ROOT / "examples" / "receive.py")]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as receiver:
            try:
                sent = eventually(lambda: succeeded(ask(served, "POST", f"{PATH}/{endpoint['id']}/test")))
                ask(served, "POST", f"{PATH}/{endpoint['id']}/deliveries/{sent['id']}/retry")
                eventually(lambda: len(log(served, endpoint["id"])[0]["attempts"]) == 2)
                forged = httpx2.post(f"http://127.0.0.1:{port}/", json=sent["payload"], headers={"webhook-id": "x"})
            finally:
                receiver.terminate()
            output = receiver.communicate()[0].decode()
    assert output.splitlines() == [f"webhook.test {sent['payload']['data']}"]
    assert forged.status_code == 400


def succeeded(delivery: Any) -> Any:
    return delivery if delivery["status"] == "succeeded" else None


def test_howto_quotes_the_example_unchanged() -> None:
    example = (ROOT / "docs" / "howto" / "receive-webhooks.md").read_text().split("```python\n")[1].split("```")[0]
    assert example.strip() in (ROOT / "examples" / "receive.py").read_text()
