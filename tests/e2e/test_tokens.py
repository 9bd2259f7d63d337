"""Authentication of whole servers: addresses, printed tokens, and secrets that appear nowhere."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

import fitwell
from tests import warm
from tests.patience import eventually, scaled
from tests.processes import Serving, free_port, serving

pytestmark = pytest.mark.slow
SECRET = re.compile(r"fw_[A-Za-z0-9_-]{43}")
SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 100},
    "model": {"kind": "mlp", "hidden": [8]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 3,
}


def command(*arguments: str, token: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FITWELL_TOKEN": token, **more}
    return warm.fitwell(*arguments, env=environment, timeout=scaled(60))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that other machines can reach, where owners do not see each other's runs."""
    home = tmp_path_factory.mktemp("tokens") / "home"
    with serving(home, FITWELL_HOST="0.0.0.0", FITWELL_SHARE_RUNS="false", FITWELL_LOG_LEVEL="DEBUG") as one:
        yield one


@pytest.fixture(scope="module")
def admin(served: Serving) -> Iterator[fitwell.Client]:
    (secret,) = SECRET.findall(served.output())
    with fitwell.Client(served.client.transport.url, secret) as client:
        yield client


def test_beyond_loopback_the_first_admin_token_is_printed_once_and_required(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    with serving(home, port, workers=0, FITWELL_HOST="0.0.0.0") as first:
        (secret,) = SECRET.findall(first.output())
        assert "not shown again" in first.output()
        with pytest.raises(fitwell.NotAuthenticated, match="FITWELL_TOKEN"):
            first.client.capabilities()
        with fitwell.Client(first.client.transport.url, secret) as admin:
            assert admin.tokens.me()["scopes"] == ["read", "write", "admin"]
        written = len(first.output())
    with serving(home, port, workers=0, FITWELL_HOST="0.0.0.0") as second:
        assert not SECRET.search(second.output()[written:])
    with serving(home, port, workers=0) as third, pytest.raises(fitwell.NotAuthenticated):
        third.client.capabilities()  # on loopback too, now that there is a token
    with serving(home, port, workers=0, FITWELL_AUTH="off") as fourth:
        assert fourth.client.tokens.me()["owner"] == "local"


def test_auth_off_is_refused_if_other_machines_can_connect(tmp_path: Path) -> None:
    port = str(free_port())
    line = ("serve", "--data-dir", str(tmp_path), "--host", "0.0.0.0", "--port", port, "--workers", "0")
    done = command(*line, FITWELL_AUTH="off")
    assert (done.returncode, "FITWELL_AUTH: off is for loopback only" in done.stderr) == (5, True)
    assert "Traceback" not in done.stderr


def test_loopback_needs_no_token_until_the_first_and_a_lost_one_is_replaced_locally(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, workers=0) as one:
        url = ("--url", one.client.transport.url)
        assert not SECRET.search(one.output())
        assert "no token required" in command("token", "me", *url).stdout
        created = command("token", "create", "--owner", "me", "--name", "laptop", "--scope", "admin", *url)
        assert created.returncode == 0, created.stderr
        assert SECRET.fullmatch(created.stdout.strip())
        assert command("ls", *url).returncode == 3
        assert command("ls", *url, token=created.stdout.strip()).returncode == 0
        local = ("token", "create", "--local", "--data-dir", str(home), "--owner", "me")
        again = command(*local, "--name", "lost it", "--scope", "admin", "--days", "1")
        assert command("ls", *url, token=again.stdout.strip()).returncode == 0
        wrong = command(*local, "--name", "", "--scope", "root")
        assert (wrong.returncode, "/scopes" in wrong.stderr or "2 fields" in wrong.stderr) == (5, True)


def test_command_line_creates_lists_and_revokes_tokens(served: Serving, admin: fitwell.Client) -> None:
    url = ("--url", served.client.transport.url)
    mine = admin.transport._http.headers["authorization"].removeprefix("Bearer ")
    created = command("token", "create", "--owner", "alice", "--name", "CI", "--json", *url, token=mine)
    token = json.loads(created.stdout)
    assert (token["owner"], token["scopes"]) == ("alice", ["write"])
    refused = command("token", "create", "--owner", "alice", "--name", "x", *url, token=token["token"])
    assert (refused.returncode, "needs the scope 'admin'" in refused.stderr) == (3, True)
    listed = json.loads(command("token", "list", "--json", *url, token=token["token"]).stdout)
    assert [one["id"] for one in listed] == [token["id"]]
    assert token["prefix"] in command("token", "list", *url, token=mine).stdout
    assert "alice, scopes read, write" in command("token", "me", *url, token=token["token"]).stdout
    assert command("token", "revoke", token["id"], *url, token=mine).returncode == 0
    refused = command("ls", *url, token=token["token"])
    assert (refused.returncode, "was revoked" in refused.stderr, "Traceback" in refused.stderr) == (3, True, False)


def test_editor_without_a_token_gets_the_schema_as_a_file(served: Serving, admin: fitwell.Client) -> None:
    url = served.client.transport.url
    mine = admin.transport._http.headers["authorization"].removeprefix("Bearer ")
    for name in ("run", "study"):
        printed = command("schema", name, "--url", url, token=mine).stdout
        assert json.loads(printed)["$id"] == f"urn:fitwell:schema:{name}"
    assert command("schema", "run", "--url", url).returncode == 3


def test_worker_trains_without_a_token_and_streams_hide_events_of_other_owners(
    served: Serving, admin: fitwell.Client
) -> None:
    secrets = {who: str(admin.tokens.create(owner=who, name="test").token) for who in ("ann", "ben")}
    with (
        fitwell.Client(served.client.transport.url, secrets["ann"]) as ann,
        fitwell.Client(served.client.transport.url, secrets["ben"]) as ben,
    ):
        hidden = ann.runs.create(**SPEC).wait(scaled(60))
        events = list[dict[str, Any]]()
        ready = threading.Event()

        def listen() -> None:
            for message in ben.transport.events("/v1/events", 0):
                ready.set()
                if message.data:
                    events.append(json.loads(message.data))
                    if events[-1]["type"] == "run.succeeded":
                        return

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        mine = ben.runs.create(seed=1, **SPEC)
        also = ann.runs.create(seed=2, **SPEC)
        mine.wait(scaled(60))
        also.wait(scaled(60))
        listening.join(scaled(20))
        assert {event["run_id"] for event in events} == {mine.id}
        assert events[-1]["type"] == "run.succeeded"
        with pytest.raises(fitwell.NotFound):
            ben.runs.get(hidden.id)
        assert ben.runs.create(**SPEC).reused_from is None, "results are shared as runs are"
        assert ann.runs.create(**SPEC).reused_from == hidden.id


def test_stream_of_a_revoked_token_ends_at_its_next_connection(served: Serving, admin: fitwell.Client) -> None:
    token = admin.tokens.create(owner="zoe", name="test")
    with fitwell.Client(served.client.transport.url, token.token) as zoe:
        stream = zoe.transport.events("/v1/events", 0)
        next(stream)
        admin.tokens.revoke(token.id)
        with pytest.raises(fitwell.NotAuthenticated):
            next(zoe.transport.events("/v1/events", 0))
        stream.close()  # type: ignore[attr-defined]


def test_no_secret_is_logged_or_stored(served: Serving, admin: fitwell.Client) -> None:
    token = admin.tokens.create(owner="yan", name="test")
    secret = str(token.token)
    url = served.client.transport.url
    right, wrong = {"authorization": f"Bearer {secret}"}, {"authorization": f"Bearer fw_{'x' * 43}"}
    for headers in (right, wrong):
        for method, path in (("GET", "/v1/runs"), ("POST", "/v1/runs"), ("GET", "/v1/runs/%00"), ("PUT", "/v1/runs")):
            httpx2.request(method, f"{url}{path}", headers=headers)
        httpx2.get(f"{url}/v1/runs", params={"token": secret}, headers=headers)
    eventually(lambda: next(one for one in admin.tokens.list() if one.id == token.id).last_used_at, 15)
    for part in (secret[3:], "x" * 43):
        assert part not in served.output()
        for file in served.home.rglob("*"):
            if file.is_file():
                assert part.encode() not in file.read_bytes(), file


HEADS = {
    "one header": (b"GET /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ", b"A" * 100_000),
    "many headers": (b"GET /v1/runs HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 10_000),
    "the address": (b"GET /v1/runs?", b"a" * 100_000),
    "trailers": (
        b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"X-A: b\r\n" * 10_000,
    ),
}


@pytest.mark.parametrize("kind", HEADS)
def test_endless_request_head_is_refused_within_bounded_memory(served: Serving, kind: str) -> None:
    first, more = HEADS[kind]
    service = served.part("service")
    assert service is not None
    before = service.memory_info().rss
    sent = 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=scaled(20)) as connection, suppress(OSError):
        connection.sendall(first)
        while sent < 50_000_000:
            connection.sendall(more)
            sent += len(more)
    assert sent < 10_000_000, "the rest was in flight when the connection was cut"
    assert service.memory_info().rss - before < 20_000_000
    assert served.client.transport.request("GET", "/healthz").status_code == 200


def test_long_request_head_within_the_limit_is_accepted(served: Serving) -> None:
    for length in (10_000, 60_000):
        headers = {"authorization": "Bearer " + "A" * length}
        assert httpx2.get(f"{served.client.transport.url}/v1/runs", headers=headers).status_code in (401, 429)
