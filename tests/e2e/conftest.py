"""A server that requires tokens, and a finished run on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fitwell
from tests.e2e.guarded import SPEC, Guarded
from tests.patience import scaled
from tests.processes import serving


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with serving(tmp_path_factory.mktemp("guarded") / "home", FITWELL_AUTH="required") as served:
        token = served.first_token()
        with fitwell.Client(served.client.transport.url, token) as client:
            yield Guarded(client, token)


@pytest.fixture(scope="module")
def finished_run(guarded: Guarded) -> fitwell.Run:
    return guarded.client.runs.create(name="finished", labels={"course": "dl"}, **SPEC).wait(scaled(60))
