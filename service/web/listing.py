"""The list of runs: filters, order and groups, all of which are part of its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from pydantic import Field

from service.errors import SpecRefused
from service.http.parameters import QueryModel
from service.runs.filters import condition
from service.runs.pages import NEWEST_FIRST, Page, RunQuery
from service.runs.run import Run
from service.runs.service import Runs
from service.runs.states import Status
from service.store.statuses import UNFINISHED
from service.studies.service import Studies
from service.studies.study import Study

PAGE = 50
MAX_RUNS = 1000
"""Runs in the CSV file of a list with folded studies, at most."""
SEARCHED = ("name", "arm", "study.name", "id")
"""Fields in which the search by name looks."""
State = Literal["active", "succeeded", "failed", "cancelled"]
STATUSES: Mapping[str, tuple[Status, ...]] = {
    "active": UNFINISHED,
    "succeeded": ("succeeded",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
}
Group = Literal["folded", "none", "study", "arm", "status", "dataset", "model", "owner"]
GROUPS: tuple[str, ...] = get_args(Group)
SORTS = {
    NEWEST_FIRST: "Newest first",
    "created_at": "Oldest first",
    "best.value": "Lowest best loss",
    "-last.val.loss": "Highest last val.loss",
    "last.val.loss": "Lowest last val.loss",
    "last.test.loss": "Lowest last test.loss",
    "-last.test.accuracy": "Highest last test.accuracy",
    "-last.test.balanced_accuracy": "Highest last test.balanced_accuracy",
    "-last.test.auc": "Highest last test.auc",
    "last.test.brier": "Lowest last test.brier",
    "last.test.mae": "Lowest last test.mae",
    "-epoch": "Most epochs",
}
"""Orders in the menu; the address may name any other order of the API."""


class Listing(QueryModel):
    """The filters, order and groups of an address."""

    state: list[State] = Field(default=[])
    name: str = Field(default="", max_length=200, description="Part of the name, the arm, the study's name or the id.")
    label: list[str] = Field(default=[], description="`key=value`; a run must have all of them.")
    filter: str = ""
    study_id: str = ""
    sort: str = NEWEST_FIRST
    group: Group = "folded"
    open: list[str] = Field(default=[], description="The studies whose runs are listed below their row.")
    selected: str = ""
    after: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the list is unfiltered."""
        return not (self.state or self.name or self.label or self.filter or self.study_id or self.after)

    @property
    def folds_studies(self) -> bool:
        """Whether the runs of a study are one row."""
        return self.group == "folded" and not self.study_id

    @property
    def labels(self) -> dict[str, str]:
        """The labels that runs must have; a text without = is a key with an empty value."""
        return {key: value for key, _, value in (one.partition("=") for one in self.label)}

    def query(self) -> RunQuery:
        """Return the query for the run service."""
        return RunQuery(
            status=[status for state in self.state for status in STATUSES[state]],
            label=self.labels,
            study_id=self.study_id or None,
            filter=self._filter,
            sort=self.sort,
            limit=PAGE,
            after=self.after or None,
            folds_studies=self.folds_studies,
        )

    @property
    def _filter(self) -> str | None:
        """The filter, with the search by name; None if neither is set."""
        words = " ".join(self.name.split()).replace("\\", "\\\\").replace('"', '\\"')
        search = " OR ".join(f'{field} ~ "{words}"' for field in SEARCHED) if words else ""
        return f"({search}) AND ({self.filter})" if search and self.filter else search or self.filter or None

    def api_address(self) -> str:
        """Return the API's URL of the same list."""
        query = replace(self.query(), limit=MAX_RUNS if self.folds_studies else PAGE)
        names = ("status", "filter", "study_id", "sort", "limit", "after")
        parameters = {name: getattr(query, name) for name in names if getattr(query, name)}
        parameters |= {"label": [f"{key}={value}" for key, value in query.label.items()]} if query.label else {}
        return f"/v1/runs?{urlencode(parameters, doseq=True)}"

    def with_label(self, key: str, value: str) -> str:
        """Return the address of those runs of this list that have the label."""
        return self.address(label=[*dict.fromkeys([*self.label, f"{key}={value}"])], after="")

    def without_label(self, label: str) -> str:
        """Return the address of this list without the condition of a label."""
        return self.address(label=[one for one in self.label if one != label], after="")

    def toggling(self, study_id: str) -> str:
        """Return the address of this list with the study opened, or closed if it is open."""
        others = [one for one in self.open if one != study_id]
        return self.address(open=others if study_id in self.open else [*others, study_id])

    def address(self, **changes: Any) -> str:
        """Return the address of this list with changes; defaults are left out."""
        default = Listing()
        values = dict(self) | changes
        parameters = {name: value for name, value in values.items() if value and value != getattr(default, name)}
        return "/?" + urlencode(parameters, doseq=True) if parameters else "/"


@dataclass(frozen=True)
class Entry:
    """A row of the list: a run, or a study whose ``run`` is the first that matches."""

    run: Run
    study: Study | None = None
    runs: Sequence[Run] = ()
    """The first matching runs of an open study."""
    has_more: bool = False
    """Whether more runs of it match."""

    @property
    def is_open(self) -> bool:
        """Whether the runs of the study are listed."""
        return bool(self.runs)


@dataclass(frozen=True)
class RunGroups:
    """A page of rows in groups; ``error`` says what is wrong with an invalid filter or order."""

    page: Page
    groups: Sequence[tuple[str, Sequence[Entry]]]
    error: str = ""


def list_runs(runs: Runs, studies: Studies, listing: Listing) -> RunGroups:
    """Return the rows of ``listing``, or the error of its filter."""
    try:
        if listing.name and listing.filter:
            condition(listing.filter)  # before both are combined, so that an error has the right position
        page = runs.page(listing.query())
        if listing.folds_studies:
            return RunGroups(page, [("", _folded(runs, studies, listing, page))] if page.runs else [])
    except SpecRefused as error:
        return RunGroups(Page([], False, None), [], error.detail)
    groups: dict[str, list[Entry]] = {}
    for run in page.runs:
        groups.setdefault(_group(run, listing.group), []).append(Entry(run))
    return RunGroups(page, list(groups.items()))


def _folded(runs: Runs, studies: Studies, listing: Listing, page: Page) -> list[Entry]:
    """Return a row for each study on the page, and one for each run without a study."""
    visible = studies.get_visible(list({run.study_id for run in page.runs if run.study_id}))
    entries = []
    for run in page.runs:
        study = visible.get(run.study_id or "")
        below = Page([], False, None)
        if study is not None and study.id in listing.open:
            below = runs.page(replace(listing.query(), study_id=study.id, folds_studies=False, after=None))
        entries.append(Entry(run, study, below.runs, below.has_more))
    return entries


def _group(run: Run, by: str) -> str:
    if by in ("dataset", "model"):
        return str(run.spec[by]["kind"])
    if by == "study":
        return run.study_id or "without a study"
    if by == "arm":
        return run.arm or "without an arm"
    return "" if by in ("none", "folded") else str(getattr(run, by))
