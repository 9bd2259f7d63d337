"""The list of runs as its address asks for it: which runs, in which order, in which groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from service.errors import SpecRefused
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
    NEWEST_FIRST: "newest first",
    "created_at": "oldest first",
    "best.value": "lowest best loss",
    "-last.val.loss": "highest last val.loss",
    "last.val.loss": "lowest last val.loss",
    "last.test.loss": "lowest last test.loss",
    "-last.test.accuracy": "highest test.accuracy",
    "-epoch": "most epochs",
}
"""Orders that are offered; the address may name any other that the API knows."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What the address asks for."""

    state: Sequence[str] = ()
    filter: str = ""
    study_id: str = ""
    sort: str = NEWEST_FIRST
    group: str = "none"
    after: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether all runs are asked for."""
        return not (self.state or self.filter or self.study_id or self.after)

    def query(self) -> RunQuery:
        """The same for the rules."""
        return RunQuery(
            status=[status for state in self.state for status in STATUSES[state]],
            study_id=self.study_id or None,
            filter=self.filter or None,
            sort=self.sort,
            limit=PAGE,
            after=self.after or None,
        )

    def api_address(self) -> str:
        """Where the API lists the same runs."""
        query = self.query()
        names = ("status", "filter", "study_id", "sort", "limit", "after")
        said = {name: getattr(query, name) for name in names if getattr(query, name)}
        return f"/v1/runs?{urlencode(said, doseq=True)}"

    def address(self, **changes: Any) -> str:
        """The address of the same list, changed; what is as usual is left out."""
        usual = Listing()
        wanted = {name: changes.get(name, getattr(self, name)) for name in usual.__dataclass_fields__}
        said = {name: value for name, value in wanted.items() if value and value != getattr(usual, name)}
        return "/?" + urlencode(said, doseq=True) if said else "/"


@dataclass(frozen=True)
class Listed:
    """The page that was found; ``refusal`` says what is wrong with the question, where there is none."""

    page: Page
    groups: Sequence[tuple[str, Sequence[Run]]]
    refusal: str = ""


def listed(runs: Runs, listing: Listing) -> Listed:
    """The runs that ``listing`` asks for; a filter that cannot be read is told where it was typed."""
    try:
        page = runs.page(listing.query())
    except SpecRefused as refusal:
        return Listed(Page([], False, None), [], refusal.detail)
    groups: dict[str, list[Run]] = {}
    for run in page.runs:
        groups.setdefault(_group(run, listing.group), []).append(run)
    return Listed(page, list(groups.items()))


def _group(run: Run, by: str) -> str:
    if by in ("dataset", "model"):
        return str(run.spec[by]["kind"])
    if by == "study":
        return run.study_id or "without a study"
    if by == "arm":
        return run.arm or "without an arm"
    return "" if by == "none" else str(getattr(run, by))
