"""Reproductions as tables: the list, and the claims of one with their verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from fitwell.reproductions import MachineShare, Reproduction, ReproductionSummary
from fitwell.terminal.durations import duration


def reproductions_table(listed: Sequence[ReproductionSummary]) -> Table:
    """Return each reproduction with its source, and the runs of every scale or why it cannot be trained."""
    table = Table("name", "title", "source", "claims", "quick", "full")
    for one in listed:
        scales = [one.scales[scale] for scale in ("quick", "full")]
        cells = ["dataset missing" if scale.missing else f"{scale.runs} runs" for scale in scales]
        cells = [cell + (", started" if scale.started_at else "") for cell, scale in zip(cells, scales, strict=True)]
        source = one.source.authors + (f", {one.source.year}" if one.source.year else "")
        table.add_row(one.name, escape(one.title), escape(source), str(len(one.claims)), *cells)
    return table


def claims_table(reproduction: Reproduction) -> Table:
    """Return every claim with what was expected, this server's figures and the verdict."""
    table = Table("claim", "expected", "this server", "verdict")
    table.title = f"{escape(reproduction.title)} ({reproduction.scale})"
    table.caption = "\n".join(map(_share, reproduction.trained_on))
    for claim in reproduction.claims:
        result = claim.result
        figures = "" if result is None else f"{result.metric or ''} {result.at or ''}\n{result.explanation}".strip()
        verdict = "not started" if result is None else result.verdict.replace("_", " ")
        table.add_row(escape(claim.statement), escape(claim.expected), escape(figures), verdict, end_section=True)
    return table


def _share(machine: MachineShare) -> str:
    """Return the runs that a machine trained, and the time that they took."""
    reused = f", {machine.reused:,} of them reused," if machine.reused else ""
    runs = f"{machine.runs:,} run{'s' * (machine.runs != 1)}{reused}"
    return f"{runs} on {escape(machine.class_)}: {duration(machine.seconds)} of training"
