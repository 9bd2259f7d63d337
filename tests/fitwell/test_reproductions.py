"""Reproductions in both clients and on the command line, against a server of stored responses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from fitwell.cli import app
from fitwell.exit_codes import Exit
from fitwell.reproductions import pause_after
from tests.fitwell.client_modes import WAYS, Ask, call_with

RESULT: dict[str, Any] = {
    "verdict": "not_reproduced", "explanation": "'[red]' − 'plain': 0.1 (8 seeds).", "metric": "test.loss",
    "at": "last",
    "alpha": 0.05, "looks": 1, "study_id": "study_1", "figures": [],
}  # fmt: skip
CLAIM: dict[str, Any] = {
    "name": "helps", "statement": "[red] helps.", "expected": "lower", "rule": {"kind": "direction"},
    "rule_text": "If.",
}  # fmt: skip
SUMMARY: dict[str, Any] = {
    "name": "paper2001", "title": "A [bold]paper", "question": "Does it help?", "deviations": "Small.",
    "source": {"authors": "A. Author", "year": 2001, "title": "A paper"}, "claims": [CLAIM],
    "scales": {
        "quick": {"runs": 16, "missing": None, "started_at": "2026-01-01T00:00:00Z"},
        "full": {"runs": 64, "missing": "Get them: fitwell data fetch mnist.", "started_at": None},
    },
}  # fmt: skip


class Server(BaseHTTPRequestHandler):
    """A server whose reproduction ends at the second look; ``statuses`` are those of its runs."""

    requests: ClassVar[list[tuple[str, str, Any]]] = []
    statuses: ClassVar[dict[str, int]] = {}

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, content: Any) -> None:
        text = json.dumps(content).encode() if not isinstance(content, bytes) else content
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.requests.append(("POST", self.path, body))
        self.reply(self.view(body["scale"]))

    def do_GET(self) -> None:
        self.requests.append(("GET", self.path, None))
        if self.path == "/v1/reproductions":
            self.reply({"data": [SUMMARY]})
        elif "/report" in self.path:
            self.reply(b"<html>")
        else:
            self.reply(self.view(self.path.rpartition("=")[2]))

    def view(self, scale: str) -> dict[str, Any]:
        over = len(self.requests) > 2
        progress = {"runs": 16, "by_status": self.statuses, "epoch": 8, "epochs": 16}
        studies = [{"name": "one", "study_id": "study_1", "status": "finished", "progress": progress}]
        state = {"status": "finished" if over else "running", "terminal": over, "owner": "me", "started_at": None}
        machines = [{"class": "cpu/[red]/torch", "runs": 16, "reused": 4, "seconds": 1234.5}]
        claims = [{**CLAIM, "result": RESULT}]
        return {**SUMMARY, **state, "scale": scale, "claims": claims, "studies": studies, "trained_on": machines}


@pytest.fixture
def url() -> Iterator[str]:
    Server.requests, Server.statuses = [], {"succeeded": 16}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest, url: str) -> Ask:
    return call_with(request.param, url)


def test_start_and_wait_return_the_verdicts(ask: Ask) -> None:
    done = ask(lambda client: client.reproductions.start("paper2001", "full"), lambda one: one.wait())
    assert (done.terminal, done.scale, done.epochs, done.runs_by_status) == (True, "full", (8, 16), {"succeeded": 16})
    assert done.claims[0].result.verdict == "not_reproduced"
    path = "/v1/reproductions/paper2001"
    assert Server.requests == [("POST", path, {"scale": "full"}), *[("GET", f"{path}?scale=full", None)] * 2]


@pytest.mark.parametrize(("elapsed", "pause"), [(0.0, 0.5), (0.1, 0.5), (1.0, 4.0), (30.0, 10.0)])
def test_slow_answers_are_requested_less_often(elapsed: float, pause: float) -> None:
    assert pause_after(elapsed) == pause


def test_list_and_get_describe_a_reproduction(ask: Ask) -> None:
    (listed,) = ask(lambda client: client.reproductions.list())
    assert (listed.source.year, listed.scales["full"].runs, listed.claims[0].result) == (2001, 64, None)
    assert ask(lambda client: client.reproductions.get("paper2001"), lambda one: one.refresh()).scale == "quick"


def test_report_is_written_in_each_format(ask: Ask, tmp_path: Path) -> None:
    for form in ("html", "csv"):
        path = ask(
            lambda client: client.reproductions.get("paper2001"),
            lambda one, form=form: one.report(tmp_path, form),
        )
        assert (path.name, path.read_text()) == (f"paper2001-quick.{form}", "<html>")
        assert Server.requests[-1][1] == f"/v1/reproductions/paper2001/report?scale=quick&format={form}"


def run_command(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["reproduce", *arguments, "--url", url], env={"COLUMNS": "200"})


def test_command_waits_and_prints_claims_with_verdicts(url: str) -> None:
    done = run_command(url, "paper2001", "--scale", "full")
    assert done.exit_code == Exit.OK, done.output
    for text in (
        "[red] helps.",
        "lower",
        "test.loss last",
        "'[red]' − 'plain'",
        "not reproduced",
        "A [bold]paper (full)",
        "16 runs, 4 of them reused, on cpu/[red]/torch: 20 min 34 s of training",
    ):
        assert text in done.stdout, text
    assert Server.requests[0] == ("POST", "/v1/reproductions/paper2001", {"scale": "full"})


def test_command_prints_json_and_fails_if_a_run_failed(url: str) -> None:
    Server.statuses = {"succeeded": 15, "failed": 1}
    done = run_command(url, "paper2001", "--json")
    assert done.exit_code == Exit.RUN_FAILED
    assert json.loads(done.stdout)["claims"][0]["result"] == RESULT


def test_command_without_a_name_lists_reproductions(url: str) -> None:
    listed = run_command(url)
    assert listed.exit_code == Exit.OK
    for text in ("paper2001", "A [bold]paper", "A. Author, 2001", "16 runs, started", "dataset missing"):
        assert text in listed.stdout
    assert json.loads(run_command(url, "--json").stdout)[0]["name"] == "paper2001"
    assert run_command(url, "paper2001", "--scale", "huge").exit_code == Exit.USAGE
