"""The list of runs: filters, order and groups, all of which are part of its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from pydantic import Field

from service.errors import SpecRefused
from service.http.parameters import QueryModel
from service.runs.pages import NEWEST_FIRST, Page, RunQuery
from service.runs.run import Run
from service.runs.service import Runs
from service.runs.states import Status
from service.store.statuses import UNFINISHED

PAGE = 50
State = Literal["active", "succeeded", "failed", "cancelled"]
STATUSES: Mapping[str, tuple[Status, ...]] = {
    "active": UNFINISHED,
    "succeeded": ("succeeded",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
}
Group = Literal["none", "study", "arm", "status", "dataset", "model", "owner"]
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
    filter: str = ""
    study_id: str = ""
    sort: str = NEWEST_FIRST
    group: Group = "none"
    after: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the list is unfiltered."""
        return not (self.state or self.filter or self.study_id or self.after)

    def query(self) -> RunQuery:
        """Return the query for the run service."""
        return RunQuery(
            status=[status for state in self.state for status in STATUSES[state]],
            study_id=self.study_id or None,
            filter=self.filter or None,
            sort=self.sort,
            limit=PAGE,
            after=self.after or None,
        )

    def api_address(self) -> str:
        """Return the API's URL of the same list."""
        query = self.query()
        names = ("status", "filter", "study_id", "sort", "limit", "after")
        parameters = {name: getattr(query, name) for name in names if getattr(query, name)}
        return f"/v1/runs?{urlencode(parameters, doseq=True)}"

    def address(self, **changes: Any) -> str:
        """Return the address of this list with changes; defaults are left out."""
        default = Listing()
        values = dict(self) | changes
        parameters = {name: value for name, value in values.items() if value and value != getattr(default, name)}
        return "/?" + urlencode(parameters, doseq=True) if parameters else "/"


@dataclass(frozen=True)
class RunGroups:
    """A page of runs in groups; ``error`` says what is wrong with an invalid filter or order."""

    page: Page
    groups: Sequence[tuple[str, Sequence[Run]]]
    error: str = ""


def list_runs(runs: Runs, listing: Listing) -> RunGroups:
    """Return the runs of ``listing``, or the error of its filter."""
    try:
        page = runs.page(listing.query())
    except SpecRefused as error:
        return RunGroups(Page([], False, None), [], error.detail)
    groups: dict[str, list[Run]] = {}
    for run in page.runs:
        groups.setdefault(_group(run, listing.group), []).append(run)
    return RunGroups(page, list(groups.items()))


def _group(run: Run, by: str) -> str:
    if by in ("dataset", "model"):
        return str(run.spec[by]["kind"])
    if by == "study":
        return run.study_id or "without a study"
    if by == "arm":
        return run.arm or "without an arm"
    return "" if by == "none" else str(getattr(run, by))
