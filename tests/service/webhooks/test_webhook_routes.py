"""Webhook endpoints through the API, with a real server as the target."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from service.app import create_app
from service.settings import Settings
from service.webhooks import sender as senders
from service.webhooks.messages import RunMessage, StudyMessage
from tests.conftest import MigratedHome, body
from tests.patience import eventually, scaled
from tests.receiver import Receiver, receiving

pytestmark = pytest.mark.slow

PATH = "/v1/webhook_endpoints"


@pytest.fixture
def here(tmp_path: Path, migrated_home: MigratedHome) -> Settings:
    return Settings(data_dir=migrated_home(tmp_path), webhook_allow_private=True, max_webhook_endpoints=5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def create(client: TestClient, url: str, **more: Any) -> Any:
    answer = client.post(PATH, json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return answer.json()


def test_endpoint_receives_a_signed_thin_message_when_a_run_ends(client: TestClient, receiver: Receiver) -> None:
    endpoint = create(client, receiver.url)
    assert endpoint["events"] == ["run.succeeded", "run.failed", "run.cancelled"]
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    client.post(f"/v1/runs/{run_id}/cancel")
    (came,) = eventually(lambda: receiver.came)
    payload = came.verified(endpoint["secret"])
    assert RunMessage.model_validate(payload).model_dump() == payload  # as the OpenAPI document has it
    assert (payload["type"], payload["data"]) == (
        "run.cancelled",
        {"run_id": run_id, "status": "cancelled", "study_id": None},
    )

    def log() -> Any:
        listed = client.get(f"{PATH}/{endpoint['id']}/deliveries").json()["data"]
        return listed if listed[0]["status"] == "succeeded" else None

    (delivery,) = eventually(log)
    assert (delivery["id"], delivery["payload"]) == (came.id, payload)
    (attempt,) = delivery["attempts"]
    assert (attempt["number"], attempt["status_code"], attempt["error"]) == (1, 204, None)
    assert 0 < attempt["seconds"] < 10
    event = client.get("/v1/events").json()["data"][-1]
    assert (event["id"], event["at"]) == (delivery["event_id"], payload["timestamp"])


def test_finished_study_is_delivered(client: TestClient, receiver: Receiver) -> None:
    create(client, receiver.url, events=["study.finished"])
    study_id = client.post("/v1/studies", json={"base": body(), "seeds": 3}).json()["id"]
    client.post(f"/v1/studies/{study_id}/cancel")
    (came,) = eventually(lambda: receiver.came)
    assert came.payload["data"] == {"study_id": study_id, "status": "finished"}
    assert StudyMessage.model_validate(came.payload).model_dump() == came.payload
    time.sleep(0.3)
    assert len(receiver.came) == 1


def test_secret_is_returned_only_on_creation(client: TestClient, receiver: Receiver) -> None:
    endpoint = create(client, receiver.url, description="mine")
    secret = endpoint.pop("secret")
    assert Webhook(secret)
    one = client.get(f"{PATH}/{endpoint['id']}")
    assert one.json() == endpoint
    client.post(f"{PATH}/{endpoint['id']}/test")
    changed = client.patch(f"{PATH}/{endpoint['id']}", json={"description": None})
    answers = [one, changed, client.get(PATH), client.get(f"{PATH}/{endpoint['id']}/deliveries")]
    for answer in answers:
        assert secret.removeprefix("whsec_") not in answer.text
        assert "secret" not in answer.text


def test_rotated_secret_signs_at_once_and_the_old_one_for_another_day(client: TestClient, receiver: Receiver) -> None:
    endpoint = create(client, receiver.url)
    changed = client.post(f"{PATH}/{endpoint['id']}/rotate_secret").json()
    assert changed["secret"] != endpoint["secret"]
    client.post(f"{PATH}/{endpoint['id']}/test")
    (came,) = receiver.came
    assert came.verified(changed["secret"]) == came.verified(endpoint["secret"])
    again = client.post(f"{PATH}/{endpoint['id']}/rotate_secret").json()
    client.post(f"{PATH}/{endpoint['id']}/test")
    assert receiver.came[1].verified(again["secret"]) == receiver.came[1].verified(changed["secret"])
    with pytest.raises(Exception, match="No matching signature"):
        receiver.came[1].verified(endpoint["secret"])


def test_test_delivery_is_sent_at_once_and_returns_the_reply(client: TestClient, receiver: Receiver) -> None:
    def teapot(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(418)
        request.end_headers()
        request.wfile.write("I am a teapot ☕\x00".encode())

    endpoint = create(client, receiver.url, enabled=False)
    good = client.post(f"{PATH}/{endpoint['id']}/test")
    receiver.answers.append(teapot)
    bad = client.post(f"{PATH}/{endpoint['id']}/test")
    assert (good.status_code, bad.status_code) == (200, 200)
    assert (good.json()["status"], good.json()["type"], good.json()["event_id"]) == ("succeeded", "webhook.test", None)
    assert receiver.came[0].verified(endpoint["secret"]) == good.json()["payload"]
    assert (bad.json()["status"], bad.json()["next_attempt_at"]) == ("failed", None)
    (attempt,) = bad.json()["attempts"]
    assert (attempt["status_code"], attempt["response"]) == (418, "I am a teapot ☕\ufffd")
    receiver.answers.append(410)
    client.post(f"{PATH}/{endpoint['id']}/test")
    payload = client.get(f"{PATH}/{endpoint['id']}").json()
    assert (payload["disabled_reason"], payload["failing_since"]) == (
        None,
        None,
    )  # a test does not count against the endpoint


def test_too_many_concurrent_tests_are_refused_temporarily(
    client: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "TESTS_AT_ONCE", 1)
    go_on = threading.Event()

    def wait(request: http.server.BaseHTTPRequestHandler) -> None:
        go_on.wait(scaled(10))
        request.send_response(200)
        request.end_headers()

    receiver.answers.append(wait)
    endpoint = create(client, receiver.url)
    answers = list[Any]()
    first = threading.Thread(target=lambda: answers.append(client.post(f"{PATH}/{endpoint['id']}/test")))
    first.start()
    eventually(lambda: receiver.came)
    refused = client.post(f"{PATH}/{endpoint['id']}/test")
    assert client.get("/healthz").status_code == 200
    go_on.set()
    first.join()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    assert answers[0].json()["status"] == "succeeded"
    assert client.post(f"{PATH}/{endpoint['id']}/test").status_code == 200


def test_manual_retry_keeps_the_delivery_id(client: TestClient, receiver: Receiver) -> None:
    endpoint = create(client, receiver.url)
    sent = client.post(f"{PATH}/{endpoint['id']}/test").json()
    retry = f"{PATH}/{endpoint['id']}/deliveries/{sent['id']}/retry"
    answer = client.post(retry)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    eventually(lambda: len(receiver.came) == 2)
    assert set(receiver.ids) == {sent["id"]}
    client.patch(f"{PATH}/{endpoint['id']}", json={"enabled": False})
    refused = client.post(retry)
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_endpoint_disabled")
    assert client.post(f"{PATH}/{endpoint['id']}/deliveries/msg_x/retry").json()["code"] == "webhook_delivery_not_found"
    other = create(client, receiver.url)
    elsewhere = client.post(f"{PATH}/{other['id']}/deliveries/{sent['id']}/retry")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "webhook_delivery_not_found")


def test_pages_list_every_endpoint_and_delivery_once_newest_first(client: TestClient, receiver: Receiver) -> None:
    ids = [create(client, receiver.url)["id"] for _ in range(5)]
    sent = [client.post(f"{PATH}/{ids[0]}/test").json()["id"] for _ in range(5)]
    for path, expected in ((PATH, ids), (f"{PATH}/{ids[0]}/deliveries", sent)):
        listed, after = list[str](), dict[str, str]()
        while True:
            page = client.get(path, params={"limit": 2, **after}).json()
            listed += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                break
            after = {"after": page["next_cursor"]}
        assert listed == expected[::-1]
        assert client.get(path, params={"after": "nonsense"}).json()["code"] == "bad_cursor"
    log = f"{PATH}/{ids[0]}/deliveries"
    assert len(client.get(log, params={"status": "succeeded"}).json()["data"]) == 5
    assert client.get(log, params={"status": "failed"}).json()["data"] == []
    assert client.get(log, params={"status": "lost"}).status_code == 422


def test_patch_leaves_missing_fields_unchanged(client: TestClient, receiver: Receiver) -> None:
    endpoint = create(client, receiver.url, events=["run.*"], labels={"a": "b"}, description="one")
    endpoint.pop("secret")
    path = f"{PATH}/{endpoint['id']}"
    assert client.patch(path, json={}).json() == endpoint
    assert client.patch(path, json={"description": "two"}).json() == {**endpoint, "description": "two"}
    assert client.patch(path, json={"enabled": False, "events": ["*"]}).json() == {
        **endpoint, "description": "two", "enabled": False, "events": ["*"],
    }  # fmt: skip
    moved = client.patch(path, json={"url": f"{receiver.url}/moved"})
    assert moved.json()["url"] == f"{receiver.url}/moved"
    assert client.delete(path).status_code == 204
    for answer in (client.get(path), client.patch(path, json={}), client.delete(path), client.post(f"{path}/test")):
        assert (answer.status_code, answer.json()["code"]) == (404, "webhook_endpoint_not_found")
    for rest in ("/rotate_secret", "/deliveries/msg_1/retry"):
        assert client.post(path + rest).status_code == 404
    assert client.get(f"{path}/deliveries").status_code == 404


def test_repeated_request_creates_one_endpoint_and_returns_its_secret(client: TestClient, receiver: Receiver) -> None:
    headers = {"idempotency-key": "once"}
    first = client.post(PATH, json={"url": receiver.url}, headers=headers)
    second = client.post(PATH, json={"url": receiver.url}, headers=headers)
    assert (second.text, second.headers["idempotency-replayed"]) == (first.text, "true")
    assert len(client.get(PATH).json()["data"]) == 1
    other = client.post(PATH, json={"url": receiver.url, "description": "x"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_endpoints_over_the_limit_are_refused_with_the_limit(client: TestClient, receiver: Receiver) -> None:
    for _ in range(5):
        create(client, receiver.url)
    answer = client.post(PATH, json={"url": receiver.url})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhook_endpoints")
    assert "5" in answer.json()["detail"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "/url", "required"),
    ({"url": "https://8.8.8.8/", "event": ["run.*"]}, "/event", "Did you mean 'events'"),
    ({"url": "https://8.8.8.8/", "events": ["run.suceeded"]}, "/events/0", "Did you mean 'run.succeeded'"),
    ({"url": "https://8.8.8.8/", "events": ["epoch"]}, "/events/0", "run.succeeded"),
    ({"url": "https://8.8.8.8/", "events": []}, "/events", "at least 1"),
    ({"url": "https://8.8.8.8/", "study_id": "study_x"}, "/study_id", "GET /v1/studies"),
    ({"url": "https://8.8.8.8/", "enabled": "yes"}, "/enabled", "boolean"),
    ({"url": "ftp://8.8.8.8/"}, "/url", "https"),
    ({"url": "http://8.8.8.8/"}, "/url", "https"),
    ({"url": "https://169.254.169.254/latest"}, "/url", "not on the internet"),
    ({"url": "https://nothing.invalid/"}, "/url", "could not be resolved"),
    ({"url": 7}, "/url", "string"),
    ({"url": "https://8.8.8.8/" + "x" * 3000}, "/url", "2048"),
]


@pytest.mark.parametrize(("wrong", "pointer", "words"), REFUSED)
def test_invalid_endpoint_is_refused_with_a_pointer_and_a_remedy(
    client: TestClient, wrong: dict[str, Any], pointer: str, words: str
) -> None:
    answer = client.post(PATH, json=wrong)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["message"] + json.dumps(error["allowed"])
    assert client.get(PATH).json()["data"] == []


def test_by_default_internal_addresses_are_refused_as_targets(on_sqlite: Settings, receiver: Receiver) -> None:
    with TestClient(create_app(on_sqlite)) as strict:
        for url in (receiver.url, receiver.url.replace("http:", "https:"), f"https://localhost:{receiver.port}/"):
            answer = strict.post(PATH, json={"url": url})
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/url")
        endpoint = create(strict, "https://8.8.8.8/")
        changed = strict.patch(f"{PATH}/{endpoint['id']}", json={"url": f"https://127.0.0.1:{receiver.port}/"})
        assert changed.status_code == 422
    assert receiver.connections == []


def test_revoking_the_setting_blocks_existing_internal_targets(on_sqlite: Settings, receiver: Receiver) -> None:
    """The rule holds in every attempt, not only when an endpoint is made."""
    lax = on_sqlite.model_copy(update={"webhook_allow_private": True})
    with TestClient(create_app(lax)) as client:
        endpoint = create(client, receiver.url)
    with TestClient(create_app(lax.model_copy(update={"webhook_allow_private": False}))) as client:
        answer = client.post(f"{PATH}/{endpoint['id']}/test").json()
    assert (answer["status"], receiver.connections) == ("failed", [])
    assert "https" in answer["attempts"][0]["error"]
