"""The client and the webhook line with a real server, and a real target."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

import fitwell
from tests import warm
from tests.conftest import BODY
from tests.patience import eventually, scaled
from tests.processes import Serving, serving
from tests.receiver import Receiver, receiving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("hooks") / "home", workers=0, FITWELL_WEBHOOK_ALLOW_PRIVATE="1") as one:
        yield one


@pytest.fixture
def target() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def webhook(served: Serving, *arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.fitwell("webhook", *arguments, "--url", served.client.transport.url, timeout=scaled(60))


def test_client_creates_tests_changes_and_deletes_an_endpoint(served: Serving, target: Receiver) -> None:
    hooks = served.client.webhooks
    endpoint = hooks.create(target.url, events=["run.cancelled"], labels={"who": "client"})
    assert endpoint.secret is not None
    assert hooks.test(endpoint.id).attempts[0].status_code == 204
    run = served.client.runs.create(**BODY, labels={"who": "client"}).cancel()
    eventually(lambda: len(target.came) == 2)
    assert target.came[1].verified(endpoint.secret)["data"]["run_id"] == run.id
    changed = hooks.change(endpoint.id, description="mine")
    assert (changed.description, changed.secret) == ("mine", None)
    assert hooks.rotate_secret(endpoint.id).secret not in (None, endpoint.secret)
    deliveries = eventually(lambda: list(hooks.deliveries(endpoint.id, status="succeeded"))[1:])
    assert hooks.retry(endpoint.id, deliveries[0].id).status == "pending"
    assert [one.id for one in hooks.list() if one.id == endpoint.id] == [hooks.get(endpoint.id).id]
    hooks.delete(endpoint.id)
    with pytest.raises(fitwell.NotFound):
        hooks.get(endpoint.id)
    with pytest.raises(fitwell.BadRequest, match="Did you mean"):
        hooks.create(target.url, events=["run.suceeded"])


def test_commands_create_test_list_and_delete_an_endpoint(served: Serving, target: Receiver) -> None:
    added = webhook(served, "add", target.url, "--event", "run.*", "--label", "a=b", "--json")
    endpoint = json.loads(added.stdout)
    assert (added.returncode, endpoint["events"], endpoint["labels"]) == (0, ["run.*"], {"a": "b"})
    created = webhook(served, "add", target.url)
    assert "whsec_" in created.stdout
    listed = webhook(served, "list")
    assert (listed.returncode, endpoint["id"] in listed.stdout, "whsec_" in listed.stdout) == (0, True, False)
    assert "secret" not in webhook(served, "list", "--json").stdout
    target.answers += [204, 500]
    good, bad = webhook(served, "test", endpoint["id"]), webhook(served, "test", endpoint["id"])
    assert (good.returncode, bad.returncode) == (0, 1)
    assert ("status 204" in good.stdout, "status 500" in bad.stdout) == (True, True)
    log = webhook(served, "deliveries", endpoint["id"], "--status", "failed")
    assert (log.stdout.count("msg_"), "status 500" in log.stdout) == (1, True)
    first, second = webhook(served, "rm", endpoint["id"]), webhook(served, "rm", endpoint["id"])
    assert (first.returncode, second.returncode, "Traceback" in second.stderr) == (0, 3, False)


def test_forbidden_target_is_reported_without_a_traceback(served: Serving) -> None:
    done = webhook(served, "add", "https://169.254.169.254/latest/meta-data")
    assert (done.returncode, "not on the internet" in done.stderr) == (3, True)
