"""The client and the command line with a real server, and a real target."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

import fitwell
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
def there() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def command(served: Serving, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "fitwell.cli", "webhook", *arguments, "--url", served.client.transport.url]
    return subprocess.run(line, capture_output=True, text=True, timeout=scaled(60), check=False)


def test_the_client_makes_tests_reads_and_removes_an_endpoint(served: Serving, there: Receiver) -> None:
    hooks = served.client.webhooks
    endpoint = hooks.create(there.url, events=["run.cancelled"], labels={"who": "client"})
    assert endpoint.secret is not None
    assert hooks.test(endpoint.id).attempts[0].status_code == 204
    run = served.client.runs.create(**BODY, labels={"who": "client"}).cancel()
    eventually(lambda: len(there.came) == 2)
    assert there.came[1].verified(endpoint.secret)["data"]["run_id"] == run.id
    changed = hooks.change(endpoint.id, description="mine")
    assert (changed.description, changed.secret) == ("mine", None)
    assert hooks.rotate_secret(endpoint.id).secret not in (None, endpoint.secret)
    told = eventually(lambda: list(hooks.deliveries(endpoint.id, status="succeeded"))[1:])
    assert hooks.retry(endpoint.id, told[0].id).status == "pending"
    assert [one.id for one in hooks.list() if one.id == endpoint.id] == [hooks.get(endpoint.id).id]
    hooks.delete(endpoint.id)
    with pytest.raises(fitwell.NotFound):
        hooks.get(endpoint.id)
    with pytest.raises(fitwell.BadRequest, match="Did you mean"):
        hooks.create(there.url, events=["run.suceeded"])


def test_the_command_line_does_so_too_and_says_what_came_back(served: Serving, there: Receiver) -> None:
    added = command(served, "add", there.url, "--event", "run.*", "--label", "a=b", "--json")
    endpoint = json.loads(added.stdout)
    assert (added.returncode, endpoint["events"], endpoint["labels"]) == (0, ["run.*"], {"a": "b"})
    shown = command(served, "add", there.url)
    assert "whsec_" in shown.stdout
    listed = command(served, "list")
    assert (listed.returncode, endpoint["id"] in listed.stdout, "whsec_" in listed.stdout) == (0, True, False)
    assert "secret" not in command(served, "list", "--json").stdout
    there.answers += [204, 500]
    good, bad = command(served, "test", endpoint["id"]), command(served, "test", endpoint["id"])
    assert (good.returncode, bad.returncode) == (0, 1)
    assert ("status 204" in good.stdout, "status 500" in bad.stdout) == (True, True)
    log = command(served, "deliveries", endpoint["id"], "--status", "failed")
    assert (log.stdout.count("msg_"), "status 500" in log.stdout) == (1, True)
    gone, again = command(served, "rm", endpoint["id"]), command(served, "rm", endpoint["id"])
    assert (gone.returncode, again.returncode, "Traceback" in again.stderr) == (0, 3, False)


def test_a_refused_target_is_a_sentence(served: Serving) -> None:
    done = command(served, "add", "https://169.254.169.254/latest/meta-data")
    assert (done.returncode, "not on the internet" in done.stderr) == (3, True)
