"""Runs and studies by id, the beginning of an id, a name or @last, without a server."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from fitwell.client import Client
from fitwell.commands.references import find, find_run, find_study

ULIDS = ("01KBZZZZZZ0000000000000002", "01KBZZZZZZ0000000000000001", "01KBAAAAAA0000000000000001")
COMPARISON = re.compile(r'id >= "(.*)" AND id <= "(.*)"')


class NotFound(Exception):
    """The server's 404."""


class Collection:
    """Runs or studies of a server, newest first, which counts requests for single ones."""

    def __init__(self, resources: list[Any]) -> None:
        self.resources = resources
        self.requested: list[str] = []

    def get(self, identifier: str) -> Any:
        self.requested.append(identifier)
        for one in self.resources:
            if one.id == identifier:
                return one
        raise NotFound(identifier)

    def list(self, *, filter: str = "", limit: int = 100) -> Any:  # noqa: A002 - the name of the parameter
        chosen = self.resources
        if match := COMPARISON.fullmatch(filter):
            chosen = [one for one in chosen if match[1] <= one.id <= match[2]]
        elif filter:
            name = re.fullmatch(r'name = "(.*)"', filter)
            assert name is not None
            chosen = [one for one in chosen if one.name == name[1].replace('\\"', '"').replace("\\\\", "\\")]
        return iter(chosen[:limit])


@pytest.fixture
def client() -> Client:
    names = ("baseline", 'the "second"', "baseline")
    runs = [
        SimpleNamespace(id=f"run_{ulid}", name=name, study_id=None) for ulid, name in zip(ULIDS, names, strict=True)
    ]
    runs[0].study_id = f"study_{ULIDS[0]}"
    studies = [
        SimpleNamespace(id=f"study_{ulid}", name=name) for ulid, name in zip(ULIDS, ("s", "s", "t"), strict=True)
    ]
    return cast(Client, SimpleNamespace(runs=Collection(runs), studies=Collection(studies)))


def test_complete_id_is_one_request(client: Client) -> None:
    assert find_run(client, f"run_{ULIDS[1]}").id == f"run_{ULIDS[1]}"
    assert find(client, f"study_{ULIDS[2]}").id == f"study_{ULIDS[2]}"
    with pytest.raises(NotFound):
        find_run(client, "run_" + "0" * 26)


@pytest.mark.parametrize("reference", ["run_01KBA", 'the "second"', "@last"])
def test_run_is_identified(client: Client, reference: str) -> None:
    expected = {"run_01KBA": ULIDS[2], 'the "second"': ULIDS[1], "@last": ULIDS[0]}[reference]
    assert find_run(client, reference).id == f"run_{expected}"


@pytest.mark.parametrize(("reference", "expected"), [("study_01KBA", 2), ("t", 2), ("@last", 0)])
def test_study_is_identified(client: Client, reference: str, expected: int) -> None:
    assert find_study(client, reference).id == f"study_{ULIDS[expected]}"
    assert find(client, reference).id == f"study_{ULIDS[expected]}", "the newest run belongs to the newest study"


def test_reference_that_fits_several_is_refused_with_their_ids(client: Client) -> None:
    for reference in ("run_01KBZ", "baseline"):
        with pytest.raises(typer.BadParameter, match=f"fits several, newest first: run_{ULIDS[0]}, "):
            find_run(client, reference)
    with pytest.raises(typer.BadParameter, match=f"study_{ULIDS[0]}, study_{ULIDS[1]}"):
        find(client, "s")


def test_other_kind_is_refused_with_the_command_that_takes_it(client: Client) -> None:
    with pytest.raises(typer.BadParameter, match=r"takes a run\. List its runs with: fitwell ls --study study_x"):
        find_run(client, "study_x")
    with pytest.raises(typer.BadParameter, match="takes a study"):
        find_study(client, "run_x")


@pytest.mark.parametrize("reference", ["nothing", "run_nothing", "run_01ZZ", ""])
def test_unknown_reference_is_the_servers_not_found(client: Client, reference: str) -> None:
    with pytest.raises(NotFound):
        find(client, reference)


def test_server_without_runs_refuses_last_with_the_command_that_submits() -> None:
    empty = cast(Client, SimpleNamespace(runs=Collection([]), studies=Collection([])))
    with pytest.raises(typer.BadParameter, match="fitwell submit"):
        find(empty, "@last")
    with pytest.raises(typer.BadParameter, match="fitwell study"):
        find_study(empty, "@last")
