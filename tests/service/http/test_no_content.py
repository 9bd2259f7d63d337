"""204 No Content: neither a body nor headers that describe one (RFC 9110, sections 8.6 and 15.3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.http.worlds import MARK, World, filled

pytestmark = pytest.mark.slow

BEFORE: dict[str, str | None] = {
    "delete_dataset": None,
    "delete_run": None,
    "delete_study": "/v1/studies/{study_id}/cancel",
    "delete_webhook_endpoint": None,
    "revoke_token": None,
}
"""Every operation that returns 204, with the action that its resource of ``World.furnish`` needs first."""


def test_every_204_has_neither_a_body_nor_a_content_type(world: World) -> None:
    things = world.furnish(world.alice, MARK)
    operations = [(method, path, op) for method, path, op in world.operations() if "204" in op["responses"]]
    assert {operation["operationId"] for _, _, operation in operations} == BEFORE.keys()
    for method, path, operation in operations:
        action = BEFORE[operation["operationId"]]
        if action is not None:
            assert world.client.post(filled(action, things), headers=world.admin).status_code < 300
        check_no_content(world.call(method, filled(path, things), operation, world.admin))


def test_signing_in_and_out_returns_neither_a_body_nor_a_content_type(world: World) -> None:
    for method in ("POST", "DELETE"):
        check_no_content(world.client.request(method, "/session", headers=world.alice))


def check_no_content(answer: Any) -> None:
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    assert not answer.headers.keys() & {"content-type", "content-length"}, answer.url
