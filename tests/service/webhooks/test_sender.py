"""The task that sends: real servers as targets, real retries, a clean end."""

from __future__ import annotations

import asyncio
import http.server
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from service.webhooks import sender as senders
from service.webhooks.http_post import Message, Post, Reply
from service.webhooks.outbox import Due, Outbox
from service.webhooks.sender import Sender
from service.webhooks.service import Endpoints
from service.webhooks.targets import Targets
from tests.patience import scaled
from tests.receiver import receiving
from tests.service.webhooks.conftest import Make
from tests.service.webhooks.deliveries import End, log

pytestmark = pytest.mark.slow

SOON = (0.05, 0.1)


def run_sender(outbox: Outbox, until: Callable[[], object], *, post: Post | None = None, seconds: float = 20.0) -> None:
    """Send until something is true, then end in good order."""

    async def work() -> None:
        sender = Sender(outbox, post or Post(Targets(allow_private=True)), poll_seconds=0.02)
        sender.start()
        began = time.monotonic()
        while not until():
            assert time.monotonic() - began < scaled(seconds), "not true in time"
            await asyncio.sleep(0.02)
        await sender.close()

    asyncio.run(work())


def secret(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        secret: str = connection.execute(sa.text("SELECT secret FROM webhook_endpoint")).scalar_one()
        return secret


def test_failed_delivery_is_retried_with_the_same_id_and_a_fresh_signature(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End
) -> None:
    outbox = Outbox(engine, schedule=SOON)
    with receiving(500, 503) as receiver:
        endpoint_id = make(receiver.url)
        (run_id,) = end(1)
        run_sender(outbox, lambda: any(one.status == "succeeded" for one in log(endpoints, endpoint_id)))
        came = receiver.came
    assert len({one.id for one in came}) == 1
    assert [one.verified(secret(engine))["data"]["run_id"] for one in came] == [run_id] * 3
    (delivery,) = log(endpoints, endpoint_id)
    assert [one.status_code for one in delivery.attempts] == [500, 503, 204]
    assert endpoints.get(endpoint_id).failing_since is None


def test_dead_targets_do_not_delay_the_others(engine: sa.Engine, endpoints: Endpoints, make: Make, end: End) -> None:
    def hang(_: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(2)

    with receiving(default=hang) as dead, receiving() as healthy:
        for _ in range(15):
            make(dead.url)
        make(healthy.url)
        end(20)
        outbox, began = Outbox(engine, schedule=SOON), time.monotonic()
        post = Post(Targets(allow_private=True), response_seconds=0.8)
        run_sender(outbox, lambda: len(healthy.came) == 20, post=post)
        seconds = time.monotonic() - began
    assert seconds < scaled(5)
    assert len(dead.came) <= 15 * (4 + 1 + seconds / 0.8)  # four at once until the first has failed, then one at a time


def test_attempt_in_progress_finishes_at_shutdown(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End
) -> None:
    def slow(request: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(0.5)
        request.send_response(200)
        request.end_headers()

    with receiving(slow) as receiver:
        endpoint_id = make(receiver.url)
        end(1)
        run_sender(Outbox(engine), lambda: receiver.came)
    (one,) = log(endpoints, endpoint_id)
    assert (one.status, len(one.attempts), len(receiver.came)) == ("succeeded", 1, 1)


def test_unfinished_attempt_is_released_at_shutdown_and_sent_by_the_next_sender(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "GRACE_SECONDS", 0.1)

    def hang(_: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(3)

    with receiving(hang) as receiver:
        endpoint_id = make(receiver.url)
        end(1)
        began = time.monotonic()
        run_sender(Outbox(engine), lambda: receiver.came)
        assert time.monotonic() - began < scaled(3)
        run_sender(Outbox(engine), lambda: log(endpoints, endpoint_id)[0].status == "succeeded")
    assert (len(receiver.came), len(set(receiver.ids))) == (2, 1)
    assert [one.number for one in log(endpoints, endpoint_id)[0].attempts] == [1]


def test_sender_survives_an_unavailable_database(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(Outbox):
        left = 3

        def fill(self) -> bool:
            if self.left:
                self.left -= 1
                raise sa.exc.OperationalError("SELECT", {}, Exception("away"))
            return super().fill()

    with receiving() as receiver:
        make(receiver.url)
        end(1)
        run_sender(Away(engine), lambda: receiver.came)
    assert "sending webhooks failed" in caplog.text


def test_delivery_whose_result_was_not_stored_is_sent_again(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.webhooks import outbox as outboxes

    monkeypatch.setattr(outboxes, "LEASE_SECONDS", 0.5)

    class Forgetful(Outbox):
        left = 1

        def record(self, due: Due, reply: Reply) -> None:
            if self.left:
                self.left -= 1
                raise sa.exc.OperationalError("UPDATE", {}, Exception("away"))
            super().record(due, reply)

    with receiving() as receiver:
        endpoint_id = make(receiver.url)
        end(1)
        run_sender(Forgetful(engine), lambda: log(endpoints, endpoint_id) and log(endpoints, endpoint_id)[0].ended_at)
    assert (len(receiver.came), len(set(receiver.ids))) == (2, 1)


def test_unexpected_exception_in_sending_is_a_failed_attempt(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Post):
        async def __call__(self, message: Message) -> Reply:
            raise ZeroDivisionError(message.id)

    endpoint_id = make()
    end(1)
    run_sender(
        Outbox(engine, schedule=()),
        lambda: log(endpoints, endpoint_id) and log(endpoints, endpoint_id)[0].ended_at,
        post=Broken(Targets(allow_private=True)),
    )
    (one,) = log(endpoints, endpoint_id)
    assert (one.status, "ZeroDivisionError" in (one.attempts[0].error or "")) == ("failed", True)
    assert "unexpected error" in caplog.text
