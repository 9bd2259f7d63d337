"""One attempt against real servers on this machine: the request, the reply, and the limits on both."""

from __future__ import annotations

import asyncio
import http.server
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.webhooks import http_post
from service.webhooks.http_post import BODY_BYTES, Message, Post, Reply
from service.webhooks.targets import Targets
from tests.patience import scaled
from tests.receiver import certificate, receiving
from tests.service.webhooks.test_targets import answering

pytestmark = pytest.mark.slow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PAYLOAD = '{"type":"run.succeeded","timestamp":"2026-01-01T00:00:00.000Z","data":{"run_id":"run_é"}}'


def message(url: str, *secrets: str) -> Message:
    return Message(id="msg_1", url=url, payload=PAYLOAD, secrets=secrets or (SECRET,))


def post(url: str, *, resolve: Any = None, allow_private: bool = True, **how: Any) -> Reply:
    targets = Targets(allow_private=allow_private, resolve=resolve)
    return asyncio.run(Post(targets, **how)(message(url)))


def test_signature_is_verified_by_the_standard_webhooks_library() -> None:
    with receiving() as receiver:
        reply = post(f"http://localhost:{receiver.port}/hook?a=b%20c")
        (came,) = receiver.came
    assert (reply.accepted, reply.status_code, reply.error) == (True, 204, None)
    assert came.verified(SECRET)["data"]["run_id"] == "run_é"
    assert (came.path, came.body.decode(), came.id) == ("/hook?a=b%20c", PAYLOAD, "msg_1")
    assert (came.headers["host"], came.headers["content-type"]) == (f"localhost:{receiver.port}", "application/json")
    assert abs(int(came.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 5
    with pytest.raises(WebhookVerificationError):
        came.verified(OTHER)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(came.body + b" ", came.headers)


def test_both_secrets_verify_during_a_rotation() -> None:
    with receiving() as receiver:
        asyncio.run(Post(Targets(allow_private=True))(message(receiver.url, SECRET, OTHER)))
        (came,) = receiver.came
    assert came.verified(SECRET) == came.verified(OTHER)


@pytest.mark.parametrize("status", [200, 202, 299])
def test_every_2xx_status_is_accepted(status: int) -> None:
    with receiving(status) as receiver:
        assert post(receiver.url).accepted


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_every_other_status_is_a_failure(status: int) -> None:
    with receiving(status) as receiver:
        reply = post(receiver.url)
    assert (reply.accepted, reply.status_code, reply.unsubscribed) == (False, status, status == 410)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with receiving() as elsewhere:

        def redirect(request: http.server.BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            request.send_header("location", elsewhere.url)
            request.send_header("content-length", "0")
            request.end_headers()

        with receiving(redirect) as receiver:
            reply = post(receiver.url)
    assert (reply.accepted, reply.status_code, elsewhere.connections) == (False, status, [])
    assert "Redirects are not followed" in (reply.error or "")


def test_silent_target_times_out() -> None:
    def never(request: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(3)

    with receiving(never) as receiver:
        reply = post(receiver.url, response_seconds=0.3)
    assert (reply.accepted, reply.error) == (False, "No response within 0.3 s.")
    assert 0.3 <= reply.seconds < scaled(1)


def test_trickling_response_head_times_out() -> None:
    def dribble(request: http.server.BaseHTTPRequestHandler) -> None:
        for _ in range(100):
            request.wfile.write(b"H")
            request.wfile.flush()
            time.sleep(0.05)

    with receiving(dribble) as receiver:
        reply = post(receiver.url, response_seconds=0.4)
    assert (reply.accepted, reply.seconds < scaled(1)) == (False, True)


def test_endless_body_does_not_change_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_post, "BODY_SECONDS", 0.3)

    def dribble(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.05)

    with receiving(dribble) as receiver:
        reply = post(receiver.url)
    assert (reply.accepted, reply.error, reply.seconds < scaled(1)) == (True, None, True)


def test_only_the_beginning_of_a_huge_body_is_read() -> None:
    sent = [0]

    def flood(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(500)
        request.send_header("content-length", str(10**9))
        request.end_headers()
        while sent[0] < 10**9:
            sent[0] += request.connection.send(b"x" * 65536)

    with receiving(flood) as receiver:
        reply = post(receiver.url)
    assert (reply.status_code, reply.response) == (500, "x" * 500)
    assert reply.seconds < 2
    assert sent[0] < 20 * 2**20 < 10**9  # what the system's buffers took, not the gigabyte
    assert BODY_BYTES < 2**16


def test_compressed_body_is_never_unpacked() -> None:
    import gzip

    bomb = gzip.compress(b"\0" * 10**8)

    def explode(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-encoding", "gzip")
        request.send_header("content-length", str(len(bomb)))
        request.end_headers()
        request.wfile.write(bomb)

    with receiving(explode) as receiver:
        reply = post(receiver.url)
    assert reply.accepted
    assert (reply.response or "").startswith("\x1f")  # as it came, and not a hundred million zeros
    assert len(reply.response or "") <= 500


GARBAGE = [
    b"", b"\x00\xff\x00", b"HTTP/1.1 999999999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
    b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10**7,
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
]  # fmt: skip


@pytest.mark.parametrize("reply_bytes", GARBAGE, ids=range(len(GARBAGE)))
def test_malformed_response_is_a_failed_attempt(reply_bytes: bytes) -> None:
    def speak(request: http.server.BaseHTTPRequestHandler) -> None:
        request.wfile.write(reply_bytes)

    with receiving(speak) as receiver:
        reply = post(receiver.url, response_seconds=2.0)
    assert (reply.accepted, bool(reply.error)) == (False, True)
    assert len(reply.error or "") <= 500


def test_any_response_text_can_be_stored() -> None:
    def speak(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(500)
        request.end_headers()
        request.wfile.write(b"\x00\xff\xed\xa0\x80" + "é☕".encode())

    with receiving(speak) as receiver:
        reply = post(receiver.url)
    assert reply.response is not None
    assert reply.response.encode().decode().endswith("é☕")
    assert "\x00" not in reply.response


def test_refused_connection_is_a_failure_with_a_reason() -> None:
    with receiving() as receiver:
        pass
    assert "ConnectError" in (post(receiver.url).error or "")


def test_next_address_is_tried_if_the_first_refuses_the_connection() -> None:
    resolve, lookups = answering(("127.0.0.9", "127.0.0.1"))
    with receiving() as receiver:
        reply = post(f"http://two.example:{receiver.port}/", resolve=resolve)
    assert (reply.accepted, lookups) == (True, ["two.example"])


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(receiver.url).accepted
    assert proxy.connections == []


def test_connection_goes_to_the_checked_address_despite_dns_rebinding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection uses the checked addresses: the name is resolved once, and not again to connect."""
    resolve, lookups = answering(("127.0.0.1",), ("127.0.0.2",))
    looked_up = list[str]()
    real = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **named: Any) -> Any:
        looked_up.append(str(host))
        return real(host, *more, **named)

    with receiving() as checked, receiving(host="127.0.0.2", port=checked.port) as other:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        reply = post(f"http://rebinding.example:{checked.port}/", resolve=resolve)
    assert (reply.accepted, len(checked.came), other.connections) == (True, 1, [])
    assert lookups == ["rebinding.example"]
    assert [host for host in looked_up if not host.startswith("127.")] == []
    assert checked.came[0].headers["host"] == f"rebinding.example:{checked.port}"


def test_name_that_turns_private_after_the_check_never_reaches_the_private_address() -> None:
    with receiving() as inside:
        for answers in ([("8.8.8.8",), ("127.0.0.1",)], [("8.8.8.8", "127.0.0.1")], [("127.0.0.1",), ("8.8.8.8",)]):
            resolve, lookups = answering(*answers)
            url = f"https://rebinding.example:{inside.port}/"
            reply = post(url, resolve=resolve, allow_private=False, response_seconds=0.5)
            assert (reply.accepted, lookups) == (False, ["rebinding.example"])
    assert inside.connections == []


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(Path(tmp_path_factory.mktemp("tls")), "hooks.example")


def test_tls_names_the_host_and_verifies_its_certificate_at_the_pinned_address(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    resolve, _ = answering(("127.0.0.1",))
    with receiving(tls=tls[0]) as receiver:
        reply = post(f"https://hooks.example:{receiver.port}/x", resolve=resolve, trust=tls[1])
    assert (reply.accepted, reply.error, receiver.names) == (True, None, ["hooks.example"])
    assert receiver.came[0].headers["host"] == f"hooks.example:{receiver.port}"


def refused(reply: Reply, came: Sequence[object]) -> bool:
    return not reply.accepted and "CERTIFICATE_VERIFY_FAILED" in (reply.error or "") and not came


def test_certificate_for_another_name_is_refused_before_sending(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    resolve, _ = answering(("127.0.0.1",))
    with receiving(tls=tls[0]) as receiver:
        for host in ("other.example", "127.0.0.1"):
            reply = post(f"https://{host}:{receiver.port}/x", resolve=resolve, trust=tls[1])
            assert refused(reply, receiver.came), reply


def test_untrusted_certificate_is_refused(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    resolve, _ = answering(("127.0.0.1",))
    with receiving(tls=tls[0]) as receiver:
        assert refused(post(f"https://hooks.example:{receiver.port}/x", resolve=resolve), receiver.came)


def test_plain_http_server_behind_an_https_url_is_a_failure() -> None:
    with receiving() as receiver:
        reply = post(f"https://127.0.0.1:{receiver.port}/", response_seconds=2.0)
    assert (reply.accepted, receiver.came) == (False, [])
