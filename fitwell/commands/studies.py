"""Studies of arms over paired seeds: submit, list, add seeds, compare, rank over datasets, choose, learning curves."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Set, SpecFile, StudyID, load_spec
from fitwell.exit_codes import Exit
from fitwell.studies import Preview
from fitwell.study import Study
from fitwell.terminal.across_tables import across_notes, across_pairs_table, aggregates_table, datasets_table
from fitwell.terminal.console import wide_console
from fitwell.terminal.learning_curve_tables import learning_curve_notes, learning_curve_table
from fitwell.terminal.study_progress import follow, print_comparison, print_tuning
from fitwell.terminal.tables import choice_table, comparison_table, looks_table, pairs_table, verdict_sentence


class Correction(StrEnum):
    """The correction for the number of pairs."""

    MAX_T = "max_t"
    HOLM = "holm"


class Normalize(StrEnum):
    """How values of a metric become scores that can be pooled over datasets."""

    GUESSING = "guessing"
    BEST = "best"
    NONE = "none"


class Pairs(StrEnum):
    """The pairs to compare."""

    BASELINE = "baseline"
    ALL = "all"


MetricOption = Annotated[str | None, typer.Option("--metric", help="Metric to compare; default: the study's.")]
AtOption = Annotated[
    str | None, typer.Option("--at", help="Epoch to compare: best, last or epoch:N; default: the study's.")
]
EpochByOption = Annotated[
    str | None,
    typer.Option("--epoch-by", help="Metric whose best epoch --at best is, such as val.loss; default: the study's."),
]
CorrectionOption = Annotated[
    Correction | None,
    typer.Option("--correction", help="Correction of p for the number of pairs: step-down maxT (default) or Holm."),
]


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
        study = client.studies.get(study_id).add_seeds(more)
    _print_warnings(study)
    typer.echo(study.model_dump_json() if as_json else f"{study.id}: {len(study.seeds)} seeds, analysis {study.looks}")


def compare(
    study_id: StudyID,
    url: URL = None,
    metric: MetricOption = None,
    at: AtOption = None,
    epoch_by: EpochByOption = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="Arm to compare with; default: the study's.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Group runs by this field of the spec (repeatable).")
    ] = None,
    pairs: Annotated[
        Pairs | None, typer.Option("--pairs", help="Compare with the baseline only, or all pairs.")
    ] = None,
    correction: CorrectionOption = None,
    min_effect: Annotated[
        float | None,
        typer.Option("--min-effect", help="Smallest difference that matters; enables the verdict equivalent."),
    ] = None,
    curves: Annotated[
        list[str] | None,
        typer.Option("--curves", help="With --json: include mean and band of this metric (repeatable)."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Compare the arms of a study, paired by seed; a verdict may be undecided."""
    with Client(url) as client:
        study = client.studies.get(study_id)
        comparison = study.compare(
            metric=metric,
            at=at,
            epoch_by=epoch_by,
            baseline=baseline,
            pairs=pairs,
            by=by,
            correction=correction,
            min_effect=min_effect,
            curves=curves,
        )
    if as_json:
        typer.echo(comparison.model_dump_json())
        return
    print_tuning(study)
    wide_console().print(comparison_table(comparison, {}))
    if comparison.baseline is None:
        wide_console().print(pairs_table(comparison))
    if comparison.sequential is not None and comparison.sequential.looks:
        wide_console().print(looks_table(comparison))
    typer.echo(verdict_sentence(comparison))


def rank(
    study_id: StudyID,
    url: URL = None,
    metric: MetricOption = None,
    at: AtOption = None,
    epoch_by: EpochByOption = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="Arm, without its dataset, to compare with; default: the study's.")
    ] = None,
    pairs: Annotated[
        Pairs | None, typer.Option("--pairs", help="Compare with the baseline only, or all pairs.")
    ] = None,
    normalize: Annotated[
        Normalize | None,
        typer.Option(
            "--normalize",
            help="Scores: from guessing (0) to the best possible value (1), to the best run, or the metric itself; "
            "default: none if higher is better, else guessing.",
        ),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="DATASET:WORST:BEST, the values with the scores 0 and 1 (repeatable)."),
    ] = None,
    correction: CorrectionOption = None,
    as_json: JSON = False,
) -> None:
    """Compare the arms of a study over all its datasets: aggregates, mean ranks and two verdicts."""
    with Client(url) as client:
        across = client.studies.get(study_id).across_datasets(
            metric=metric,
            at=at,
            epoch_by=epoch_by,
            baseline=baseline,
            pairs=pairs,
            normalize=normalize,
            range=ranges,
            correction=correction,
        )
    if as_json:
        typer.echo(across.model_dump_json())
        return
    if across.datasets:
        for table in (datasets_table(across), aggregates_table(across), across_pairs_table(across)):
            wide_console().print(table)
    typer.echo(across_notes(across))


def learning_curve(
    study_id: StudyID,
    url: URL = None,
    metric: MetricOption = None,
    at: AtOption = None,
    epoch_by: EpochByOption = None,
    min_effect: Annotated[
        float | None,
        typer.Option("--min-effect", help="Smallest improvement by doubling the data that matters; default: 5 %."),
    ] = None,
    target: Annotated[
        float | None, typer.Option("--target", help="Value of the metric to reach; prints the rows that it takes.")
    ] = None,
    min_size: Annotated[
        int | None, typer.Option("--min-size", min=1, help="Fit only sizes from this number of rows on.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Say whether more data would help: a law fitted to a study over dataset.train_size."""
    with Client(url) as client:
        study = client.studies.get(study_id)
        curves = study.learning_curve(
            metric=metric, at=at, epoch_by=epoch_by, min_effect=min_effect, target=target, min_size=min_size
        )
    if as_json:
        typer.echo(curves.model_dump_json())
        return
    for group in curves.groups:
        wide_console().print(learning_curve_table(curves, group))
        typer.echo(learning_curve_notes(group))


def choose(
    study_id: StudyID,
    url: URL = None,
    rule: Annotated[str, typer.Option("--rule", help="Selection rule: best or one_standard_error.")] = "best",
    metric: MetricOption = None,
    at: AtOption = None,
    epoch_by: EpochByOption = None,
    simpler: Annotated[
        list[str] | None,
        typer.Option(
            "--simpler",
            help="Order from simple to complex: regularizers.0.strength:desc, model.hidden.0:asc (repeatable).",
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Choose an arm by its mean over folds or seeds. With --json, chosen_spec is a spec for `fitwell submit -`."""
    with Client(url) as client:
        choice = client.studies.get(study_id).choice(rule, metric=metric, at=at, epoch_by=epoch_by, simpler=simpler)
    if as_json:
        typer.echo(choice.model_dump_json())
        return
    wide_console().print(choice_table(choice))
    typer.echo(choice.explanation)


def _print_warnings(study: Study) -> None:
    """Print why the study cannot decide anything to standard error."""
    for warning in study.warnings:
        typer.echo(f"Warning: {warning}", err=True)


def _describe_preview(preview: Preview) -> str:
    summary = (
        f"{preview.runs} runs in {preview.stacks} stacks, {preview.reused} of them reused; estimated time: "
        f"{preview.estimated_seconds:.3g} s on one worker. A significant difference needs at least "
        f"{preview.min_seeds_possible} seeds."
    )
    if preview.max_runs is not None and preview.max_runs > preview.runs:
        summary += f" The server adds runs until every arm is decided, {preview.max_runs} in all at most."
    return "\n".join([summary, *preview.warnings])
