"""Runs and studies as users name them: by id, by the beginning of an id, by name, or as @last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import TypeVar

import typer

from fitwell.client import Client
from fitwell.run import Run
from fitwell.study import Study

T = TypeVar("T", bound=Run | Study)
LAST = "@last"
RUN, STUDY = "run_", "study_"
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]*")
ULID_LENGTH = 26
LARGEST = "Z" * ULID_LENGTH
"""Follows every ULID in the order of texts."""
MAX_LISTED = 5
"""Candidates that an error lists at most."""


def find(client: Client, reference: str) -> Run | Study:
    """Return the run or the study. ``@last`` is the study of the newest run, or that run if it belongs to none.

    Raises:
        typer.BadParameter: The reference fits several runs or studies.
        RunNotFound: It fits none; StudyNotFound if it begins like the id of a study.
    """
    if reference.startswith(STUDY):
        return find_study(client, reference)
    if reference == LAST:
        newest = find_run(client, reference)
        return newest if newest.study_id is None else client.studies.get(newest.study_id)
    if not reference.startswith(RUN) and (studies := _named_studies(client, reference)):
        runs = _matching_runs(client, _named(reference))
        candidates: list[Run | Study] = [*runs, *studies]
        return _only(reference, candidates)
    return find_run(client, reference)


def find_run(client: Client, reference: str) -> Run:
    """Return the run.

    Raises:
        typer.BadParameter: The reference fits several runs, or is the id of a study.
        RunNotFound: It fits no run.
    """
    if reference.startswith(STUDY):
        message = f"{reference} is a study, and this command takes a run. List its runs with: fitwell ls --study "
        raise typer.BadParameter(message + reference)
    if reference == LAST:
        runs = list(client.runs.list(limit=1))
        if not runs:
            raise typer.BadParameter("The server has no runs yet. Submit one with: fitwell submit")
        return runs[0]
    ulid = reference.removeprefix(RUN)
    if reference.startswith(RUN) and len(ulid) < ULID_LENGTH and ULID.fullmatch(ulid):
        runs = _matching_runs(client, f'id >= "{reference}" AND id <= "{reference}{LARGEST}"')
    elif reference.startswith(RUN) or not reference.isprintable():
        runs = []
    else:
        runs = _matching_runs(client, _named(reference))
    return _only(reference, runs) if runs else client.runs.get(reference)


def find_study(client: Client, reference: str) -> Study:
    """Return the study; ``@last`` is the newest one.

    Raises:
        typer.BadParameter: The reference fits several studies, or is the id of a run.
        StudyNotFound: It fits no study.
    """
    if reference.startswith(RUN):
        message = f"{reference} is a run, and this command takes a study. List studies with: fitwell studies"
        raise typer.BadParameter(message)
    if reference == LAST:
        studies = list(islice(client.studies.list(), 1))
        if not studies:
            raise typer.BadParameter("The server has no studies yet. Submit one with: fitwell study")
        return studies[0]
    if reference.startswith(STUDY) and len(reference) >= len(STUDY) + ULID_LENGTH:
        studies = []
    elif reference.startswith(STUDY):
        studies = [one for one in client.studies.list() if one.id.startswith(reference)]
    else:
        studies = _named_studies(client, reference)
    return _only(reference, studies) if studies else client.studies.get(reference)


def _named(name: str) -> str:
    """Return the filter of runs with a name."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'name = "{quoted}"'


def _matching_runs(client: Client, condition: str) -> list[Run]:
    return list(client.runs.list(filter=condition, limit=MAX_LISTED + 1))


def _named_studies(client: Client, name: str) -> list[Study]:
    return [one for one in client.studies.list() if one.name == name]


def _only(reference: str, candidates: Sequence[T]) -> T:
    """Return the only candidate.

    Raises:
        typer.BadParameter: There are several; the message lists them.
    """
    if len(candidates) == 1:
        return candidates[0]
    more = ", …" if len(candidates) > MAX_LISTED else ""
    ids = ", ".join(one.id for one in candidates[:MAX_LISTED])
    raise typer.BadParameter(f"{reference!r} fits several, newest first: {ids}{more}. Use an id.")
