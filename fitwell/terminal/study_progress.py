"""The progress and the result of a study."""

from __future__ import annotations

import time

import typer

from fitwell.study import Study
from fitwell.terminal.console import wide_console
from fitwell.terminal.run_progress import progress_bar
from fitwell.terminal.tables import comparison_table, looks_table, tuning_sentence, tuning_table, verdict_sentence

POLL_SECONDS = 0.5


def follow(study: Study) -> Study:
    """Show a progress bar until all runs have ended, and return the study."""
    with progress_bar() as progress:
        task = progress.add_task(study.name or study.id, total=study.progress.epochs, losses="")
        while not study.terminal:
            time.sleep(POLL_SECONDS)
            study = study.refresh()
            phase = "" if study.tune is None else study.tune.phase
            progress.update(task, completed=study.progress.epoch, total=study.progress.epochs, losses=phase)
    return study


def print_comparison(study: Study) -> None:
    """Print the comparison of the arms as a table and the verdicts as a sentence."""
    print_tuning(study)
    comparison = study.compare()
    wide_console().print(comparison_table(comparison, {}))
    if comparison.sequential is not None and comparison.sequential.looks:
        wide_console().print(looks_table(comparison))
    typer.echo(verdict_sentence(comparison))


def print_tuning(study: Study) -> None:
    """Print the choice of a tuned study as a table, and how far the study has come as a sentence."""
    if study.tune is None:
        return
    if study.tune.choice is not None:
        wide_console().print(tuning_table(study.tune))
    typer.echo(tuning_sentence(study.tune))
