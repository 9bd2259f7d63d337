"""The local server waits for its service as long as the service lives."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fitwell import local
from fitwell.local import LocalError, LocalServer, free_port

SERVICE = """
import http.server, sys, time

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

time.sleep(1)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def start_instead(monkeypatch: pytest.MonkeyPatch, code: str) -> LocalServer:
    """Return a server whose service runs ``code`` with its port as the argument."""
    port = free_port()

    def start(_: LocalServer, __: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, str(port)])

    monkeypatch.setattr(LocalServer, "_start", start)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return LocalServer({}, host="127.0.0.1", port=port, workers=0)


@pytest.mark.slow
def test_slow_service_is_awaited_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "NOTICE_SECONDS", 0.2)
    server = start_instead(monkeypatch, SERVICE)
    try:
        server.start()
        assert "The service is still starting after" in capsys.readouterr().err
    finally:
        server.stop()


def test_service_that_exits_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LocalError, match="exited with code 3 before it was ready"):
        start_instead(monkeypatch, "raise SystemExit(3)").start()
