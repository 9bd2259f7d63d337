"""``study``, ``studies``, ``seeds``, ``compare``, ``choose``, ``diagnose``: which regularizer helps, how sure it is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Set, SpecFile, StudyID, body_of
from fitwell.exit_codes import Exit
from fitwell.studies import Preview
from fitwell.terminal.console import wide_console
from fitwell.terminal.study_progress import follow, show_comparison
from fitwell.terminal.tables import choice_table, in_words, pairs_table, table_of


class Pairs(StrEnum):
    """Which pairs are compared."""

    BASELINE = "baseline"
    ALL = "all"


def study(
    spec: SpecFile,
    url: URL = None,
    assignments: Set = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would cost and could decide.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the study to its end, and compare.")] = False,
    as_json: JSON = False,
) -> None:
    """Submit a study: a file with base, arms, grid or sample, seeds and folds."""
    body = body_of(spec, assignments)
    with Client(url) as client:
        if preview:
            told = client.studies.preview(**body)
            typer.echo(told.model_dump_json() if as_json else _told(told))
            return
        submitted = client.studies.create(**body)
        if not as_json:
            typer.echo(submitted.id)
        if wait:
            submitted = follow(submitted)
        if as_json:
            typer.echo(submitted.model_dump_json())
        elif wait:
            show_comparison(submitted)
        if wait and set(submitted.progress.by_status) - {"succeeded"}:
            raise typer.Exit(Exit.RUN_FAILED)


def studies(
    url: URL = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    as_json: JSON = False,
) -> None:
    """List studies, newest first."""
    with Client(url) as client:
        found = [one for _, one in zip(range(limit), client.studies.list(), strict=False)]
    if as_json:
        typer.echo(f"[{','.join(one.model_dump_json() for one in found)}]")
        return
    table = Table()
    table.add_column("study", no_wrap=True)
    for heading in ("name", "status", "arms", "seeds", "epochs"):
        table.add_column(heading)
    for one in found:
        epochs = f"{one.progress.epoch}/{one.progress.epochs}"
        table.add_row(one.id, escape(one.name or ""), one.status, str(len(one.arms)), str(len(one.seeds)), epochs)
    wide_console().print(table)


def seeds(
    study_id: StudyID,
    more: Annotated[int, typer.Argument(min=1, help="How many more.")],
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Train every arm with more seeds. Where results could be seen already, that is another look, and has its price."""
    with Client(url) as client:
        study = client.studies.get(study_id).add_seeds(more)
    typer.echo(study.model_dump_json() if as_json else f"{study.id}: {len(study.seeds)} seeds, look {study.looks}")


def compare(
    study_id: StudyID,
    url: URL = None,
    metric: Annotated[str | None, typer.Option("--metric", help="Default: what the study was made for.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="best, last or epoch:N.")] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", help="The arm that others are compared with.")] = None,
    by: Annotated[list[str] | None, typer.Option("--by", help="Group by this path of the spec (repeatable).")] = None,
    pairs: Annotated[Pairs | None, typer.Option("--pairs", help="With the baseline alone, or all pairs.")] = None,
    min_effect: Annotated[float | None, typer.Option("--min-effect", help="The smallest that matters.")] = None,
    curves: Annotated[
        list[str] | None,
        typer.Option("--curves", help="With --json: series to give mean and band of (repeatable)."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Compare the arms of a study, paired by seed; the answer may be undecided."""
    with Client(url) as client:
        study = client.studies.get(study_id)
        comparison = study.compare(
            metric=metric, at=at, baseline=baseline, pairs=pairs, by=by, min_effect=min_effect, curves=curves
        )
    if as_json:
        typer.echo(comparison.model_dump_json())
        return
    wide_console().print(table_of(comparison, {}))
    if comparison.baseline is None:
        wide_console().print(pairs_table(comparison))
    typer.echo(in_words(comparison))


def choose(
    study_id: StudyID,
    url: URL = None,
    rule: Annotated[str, typer.Option("--rule", help="best or one_standard_error.")] = "best",
    metric: Annotated[str | None, typer.Option("--metric", help="Default: what the study was made for.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="best, last or epoch:N.")] = None,
    simpler: Annotated[
        list[str] | None,
        typer.Option(
            "--simpler", help="What is simpler: regularizers.0.strength:desc, model.hidden.0:asc (repeatable)."
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Choose an arm by its mean over folds or seeds. With --json, chosen_spec is what `fitwell submit -` takes."""
    with Client(url) as client:
        choice = client.studies.get(study_id).choice(rule, metric=metric, at=at, simpler=simpler)
    if as_json:
        typer.echo(choice.model_dump_json())
        return
    wide_console().print(choice_table(choice))
    typer.echo(choice.explanation)


def _told(preview: Preview) -> str:
    """A preview in a few sentences."""
    told = (
        f"{preview.runs} runs in {preview.stacks} stacks, {preview.reused} of them trained already; about "
        f"{preview.estimated_seconds:.3g} s one after the other. With {preview.min_seeds_possible} seeds a "
        "difference can be significant at all."
    )
    return "\n".join([told, *preview.warnings])
