"""Studies followed to their end, and what came of them."""

from __future__ import annotations

import time

import typer

from fitwell.study import Study
from fitwell.terminal.console import wide_console
from fitwell.terminal.run_progress import progress_bar
from fitwell.terminal.tables import in_words, table_of

POLL_SECONDS = 0.5


def follow(study: Study) -> Study:
    """Show how far a study is; the study when every run has ended."""
    with progress_bar() as progress:
        task = progress.add_task(study.name or study.id, total=study.progress.epochs, losses="")
        while not study.terminal:
            time.sleep(POLL_SECONDS)
            study = study.refresh()
            progress.update(task, completed=study.progress.epoch)
    return study


def show_comparison(study: Study) -> None:
    """Its arms as a table, and the verdicts in a sentence."""
    comparison = study.compare()
    wide_console().print(table_of(comparison, {}))
    typer.echo(in_words(comparison))
