"""Studies of arms over paired seeds: submit, list, add seeds."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Set, SpecFile, StudyID, load_spec
from fitwell.commands.references import find_study
from fitwell.exit_codes import Exit
from fitwell.studies import Preview
from fitwell.study import Study
from fitwell.terminal.console import wide_console
from fitwell.terminal.durations import duration
from fitwell.terminal.study_progress import follow, print_comparison


def study(
    spec: SpecFile,
    url: URL = None,
    assignments: Set = None,
    replicates: Annotated[
        int | None,
        typer.Option("--replicates", help="Number of replicates of every arm, instead of the seeds in the file."),
    ] = None,
    vary: Annotated[
        str | None,
        typer.Option(
            "--vary",
            help="What differs between the replicates; default: seed,split with --replicates, seed with --max-seeds.",
        ),
    ] = None,
    max_seeds: Annotated[
        int | None,
        typer.Option(
            "--max-seeds", help="Let the server add seeds until every arm is decided, up to this number (sequential)."
        ),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only estimate the cost and the seeds needed.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the study and print its comparison; exit with 1 if a run fails.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Submit a study: a file with base, arms, grid or sample, seeds or replicates, and folds; or base and tune."""
    body = _with_replicates(load_spec(spec, assignments), replicates, vary, max_seeds)
    with Client(url) as client:
        if preview:
            estimate = client.studies.preview(**body)
            typer.echo(estimate.model_dump_json() if as_json else _describe_preview(estimate))
            return
        submitted = client.studies.create(**body)
        _print_warnings(submitted)
        if not as_json:
            typer.echo(submitted.id)
        if wait:
            submitted = follow(submitted)
        if as_json:
            typer.echo(submitted.model_dump_json())
        elif wait:
            print_comparison(submitted)
        if wait and _failed(submitted):
            raise typer.Exit(Exit.RUN_FAILED)


def _failed(study: Study) -> bool:
    """Return whether a run failed; in a tuned study, whose trials may diverge, whether nothing was confirmed."""
    if study.tune is not None:
        return study.tune.phase != "done"
    return bool(set(study.progress.by_status) - {"succeeded"})


def _with_replicates(
    body: dict[str, Any], replicates: int | None, vary: str | None, max_seeds: int | None
) -> dict[str, Any]:
    """Return the study with these replicates or this maximum of seeds instead of its own seeds or replicates."""
    if replicates is None and max_seeds is None:
        if vary is not None:
            raise typer.BadParameter("--vary needs --replicates or --max-seeds.", param_hint="--vary")
        return body
    if replicates is not None and max_seeds is not None:
        message = "A study has a fixed number of --replicates, or up to --max-seeds, not both."
        raise typer.BadParameter(message, param_hint="--max-seeds")
    factors = {} if vary is None else {"vary": [factor.strip() for factor in vary.split(",")]}
    others = {name: value for name, value in body.items() if name not in ("seeds", "replicates")}
    if max_seeds is None:
        return {**others, "replicates": {"n": replicates, **factors}}
    schedule = body.get("seeds")
    schedule = schedule if isinstance(schedule, dict) else {}
    return {**others, "seeds": {**schedule, "max": max_seeds, **factors}}


def studies(
    url: URL = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of studies.")] = 20,
    as_json: JSON = False,
) -> None:
    """List studies, newest first."""
    with Client(url) as client:
        rows = list(islice(client.studies.list(), limit))
    if as_json:
        typer.echo(f"[{','.join(row.model_dump_json() for row in rows)}]")
        return
    table = Table()
    table.add_column("study", no_wrap=True)
    for heading in ("name", "status", "arms", "seeds", "epochs"):
        table.add_column(heading)
    for row in rows:
        epochs = f"{row.progress.epoch}/{row.progress.epochs}"
        table.add_row(row.id, escape(row.name or ""), row.status, str(len(row.arms)), str(len(row.seeds)), epochs)
    wide_console().print(table)


def seeds(
    study_id: StudyID,
    more: Annotated[int, typer.Argument(min=1, help="Number of additional seeds.")],
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Train every arm with more seeds. After a comparison, this counts as an interim analysis and lowers alpha."""
    with Client(url) as client:
        study = find_study(client, study_id).add_seeds(more)
    _print_warnings(study)
    typer.echo(study.model_dump_json() if as_json else f"{study.id}: {len(study.seeds)} seeds, analysis {study.looks}")


def _print_warnings(study: Study) -> None:
    """Print why the study cannot decide anything to standard error."""
    for warning in study.warnings:
        typer.echo(f"Warning: {warning}", err=True)


def _describe_preview(preview: Preview) -> str:
    summary = (
        f"{preview.runs} runs in {preview.stacks} stacks, {preview.reused} of them reused; estimated time: "
        f"{duration(preview.estimated_seconds)} on one worker. A significant difference needs at least "
        f"{preview.min_seeds_possible} seeds."
    )
    if preview.max_runs is not None and preview.max_runs > preview.runs:
        summary += f" The server adds runs until every arm is decided, {preview.max_runs} in all at most."
    if preview.preceding_runs:
        summary += (
            f" Before them, up to {preview.preceding_runs} others are trained: {duration(preview.preceding_seconds)}."
        )
    return "\n".join([summary, *preview.warnings])
