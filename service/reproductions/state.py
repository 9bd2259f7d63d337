"""A reproduction on this server: its studies, and the results of its claims so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from service.reproductions.definition import Claim, Reproduction, Scale
from service.reproductions.judgment import Judgment, Measured, Verdict
from service.studies.comparison import Compared
from service.studies.preview import Preview
from service.studies.study import Study

Status = Literal["not_started", "queued", "running", "finished"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "not_reproduced", "undecided", "pending")


@dataclass(frozen=True, kw_only=True)
class Result:
    """The verdict on a claim so far."""

    judgment: Judgment
    compared: Compared | None
    """The comparison that the verdict is from; None before the first."""
    message: str | None = None
    """The reason for a missing verdict."""
    is_measuring: bool = False
    """Whether predictions of its runs are still being computed, for some seconds whenever the result is read."""


@dataclass(frozen=True, kw_only=True)
class ScalePlan:
    """The runs of a scale of a reproduction, and whether this server can train them."""

    runs: int
    """Runs that are queued at once."""
    missing: str | None
    """The command that brings a dataset that is not on this server; None if all are."""
    started_at: float | None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a scale of a reproduction that has not been started."""

    runs: int
    max_runs: int
    """Runs if sequential studies decide nothing early, with the confirmations of tuned ones."""
    reused: int
    seconds: float
    """Of the other runs, one after the other."""

    @classmethod
    def of(cls, previews: Sequence[Preview]) -> Cost:
        """Return the sum over studies."""
        return cls(
            runs=sum(one.runs for one in previews),
            max_runs=sum(max(one.runs, one.max_runs) for one in previews),
            reused=sum(one.reused for one in previews),
            seconds=sum(one.seconds + one.preceding_seconds for one in previews),
        )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The runs that one kind of machine trained."""

    determinism_class: str
    runs: int
    reused: int
    """Runs whose results existed before."""
    seconds: float
    """Time that workers spent on them; runs of a stack share its time. Reused runs take none."""
    finished_at: float | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A reproduction in the list."""

    name: str
    definition: Reproduction
    scales: Mapping[Scale, ScalePlan]


@dataclass(frozen=True, kw_only=True)
class ReproductionState(Overview):
    """A reproduction at one scale."""

    scale: Scale
    owner: str | None
    """None if it has not been started."""
    studies: Mapping[str, Study | None]
    """By name; None if a study has not been started or was deleted."""
    results: Mapping[str, Result]
    """By claim; empty if the reproduction has not been started."""
    machines: Sequence[Machine]

    @property
    def claims(self) -> Mapping[str, Claim]:
        """The claims that the scale tests."""
        return self.definition.claims_at(self.scale)

    @property
    def started_at(self) -> float | None:
        """When it was started; None if it has not been."""
        return self.scales[self.scale].started_at

    @property
    def finished_at(self) -> float | None:
        """When the last run ended; None before every study has finished."""
        if self.status != "finished":
            return None
        return max((one.finished_at for one in self.machines if one.finished_at is not None), default=None)

    @property
    def existing(self) -> Sequence[Study]:
        """The studies that exist."""
        return [study for study in self.studies.values() if study is not None]

    @property
    def status(self) -> Status:
        """``finished`` once every study has finished and every claim is measured, ``queued`` until one has started."""
        if self.owner is None:
            return "not_started"
        statuses = {study.status for study in self.existing}
        if statuses <= {"finished"}:
            return "running" if any(result.is_measuring for result in self.results.values()) else "finished"
        return "queued" if statuses == {"queued"} else "running"

    @property
    def verdicts(self) -> Mapping[Verdict, int]:
        """Number of claims by verdict, without verdicts of no claim."""
        counts = [(verdict, sum(r.judgment.verdict == verdict for r in self.results.values())) for verdict in VERDICTS]
        return {verdict: count for verdict, count in counts if count}


def explanation(result: Result) -> str:
    """Return the figures that a verdict rests on in a sentence each, generated from the comparison."""
    sentences = [_sentence(one) for one in result.judgment.figures if one.n]
    notes = [*result.judgment.notes, *_losses(result.judgment.figures)]
    return " ".join([*sentences, *notes, *([result.message] if result.message else [])])


def _sentence(one: Measured) -> str:
    subject = f"'{one.arm}'" if one.against is None else f"'{one.arm}' − '{one.against}'"
    spread = "" if one.std is None else f" ± {_number(one.std)}"
    notes = [f"{one.n} seed{'s' * (one.n != 1)}"]
    notes += [] if one.interval is None else [f"95 % interval {_number(one.interval[0])} to {_number(one.interval[1])}"]
    notes += [] if one.p is None else [f"p = {one.p:.3g}"]
    notes += [] if one.verdict in (None, "not_yet") else [str(one.verdict)]
    return f"{subject}: {_number(one.mean)}{spread} ({', '.join(notes)})."


def _number(value: float | None) -> str:
    """Format a value with four digits and a typographic minus sign."""
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _losses(figures: Sequence[Measured]) -> list[str]:
    """Return what was lost: diverged runs, and seeds without a value."""
    texts = []
    for one in figures:
        for arm, diverged in ((one.arm, one.diverged), (one.against, one.against_diverged)):
            if diverged:
                texts.append(f"'{arm}' {one.loss} at {diverged} seed{'s' * (diverged > 1)}, which counts as a loss.")
        if one.missing:
            texts.append(f"{one.missing} seed{'s' * (one.missing > 1)} without a value: a run failed or was deleted.")
    return list(dict.fromkeys(texts))
