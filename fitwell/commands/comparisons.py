"""Results of studies: compare arms, rank them over datasets, choose one, fit learning curves."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, StudyID
from fitwell.commands.references import find_study
from fitwell.comparison import Comparison
from fitwell.terminal.across_tables import across_notes, across_pairs_table, aggregates_table, datasets_table
from fitwell.terminal.console import wide_console
from fitwell.terminal.learning_curve_tables import learning_curve_notes, learning_curve_table
from fitwell.terminal.study_progress import print_tuning
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
PairsOption = Annotated[Pairs | None, typer.Option("--pairs", help="Compare with the baseline only, or all pairs.")]


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
    pairs: PairsOption = None,
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
        study = find_study(client, study_id)
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
    _print_comparison(comparison)


def _print_comparison(comparison: Comparison) -> None:
    """Print the groups, the pairs if all are compared, and the looks of a sequential study."""
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
    pairs: PairsOption = None,
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
        across = find_study(client, study_id).across_datasets(
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
        study = find_study(client, study_id)
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
        choice = find_study(client, study_id).choice(rule, metric=metric, at=at, epoch_by=epoch_by, simpler=simpler)
    if as_json:
        typer.echo(choice.model_dump_json())
        return
    wide_console().print(choice_table(choice))
    typer.echo(choice.explanation)
