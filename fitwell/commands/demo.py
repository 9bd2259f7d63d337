"""``demo``: a study on bundled data, from an empty directory to a verdict, in under a minute."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from fitwell.client import Client
from fitwell.errors import RunFailed
from fitwell.local import LocalServer, ensure_writable, free_port, require_installed
from fitwell.study import Study
from fitwell.terminal.console import wide_console
from fitwell.terminal.run_progress import progress_bar
from fitwell.terminal.tables import comparison_table, verdict_sentence

SEEDS = 8
BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200, "validation_size": 500},
    "model": {"kind": "mlp", "hidden": [256, 128]},
    "optimizer": {"kind": "momentum", "lr": 0.05},
    "epochs": 60,
    "batch_size": 20,
}
DROPOUT = {"kind": "dropout", "p": 0.5}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"regularizers_add": [DROPOUT]},
    "dropout + l2": {"regularizers_add": [DROPOUT, {"kind": "l2", "strength": 0.003}]},
}
POLL_SECONDS = 0.3
EXTRA_COLUMNS = {f"last {name}": (name, "last") for name in ("train.loss_eval", "test.accuracy")}
EXTRA_COLUMNS |= {"best val.loss": ("val.loss", "best")}
"""Additional columns of the table: metric and epoch."""


def demo(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Data directory; default: a temporary directory.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 selects a free port.")
    ] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Keep serving at the end, until Ctrl-C.")] = False,
) -> None:
    """Train three arms × eight paired seeds on handwritten digits and compare the regularizers."""
    require_installed("service", "worker", "torch")
    home = data_dir.expanduser().resolve() if data_dir else Path(tempfile.mkdtemp(prefix="fitwell-demo-"))
    ensure_writable(home)
    settings = {"FITWELL_DATA_DIR": str(home), "FITWELL_LOG_LEVEL": "WARNING"}
    server = LocalServer(settings, host="127.0.0.1", port=port or free_port(), workers=1, quiet=True)
    typer.echo(f"Starting Fitwell with data in {home}")
    server.start()
    try:
        with Client(server.url) as client:
            started = time.monotonic()
            study = client.studies.create(
                name="does dropout help?", base=BASE, arms=ARMS, seeds=SEEDS, metric="val.loss", at="last"
            )
            typer.echo(f"{study.id}: {len(ARMS)} arms × {SEEDS} seeds queued at {server.url}")
            study = _follow(study, server)
            typer.echo(f"All runs trained in {time.monotonic() - started:.1f} s.")
            _print_comparison(study)
            _print_diagnoses(client, study)
        typer.echo(
            f"\nFitwell is running at {server.url}. Curves and verdicts in the browser: {server.url}/studies/{study.id}"
        )
        typer.echo("The full comparison, with intervals and all pairs:")
        typer.echo(f"  curl {server.url}/v1/studies/{study.id}/compare")
        if keep:
            typer.echo("Press Ctrl-C to stop.")
            server.supervise()
        else:
            typer.echo(f"Stopping. To serve the same data again: fitwell serve --data-dir {home}")
    finally:
        server.stop()


def _follow(study: Study, server: LocalServer) -> Study:
    """Show a progress bar until all runs have ended, and return the study.

    Raises:
        RunFailed: A run did not succeed.
        LocalError: The service crashed, or a stop signal arrived.
    """
    with progress_bar() as progress:
        task = progress.add_task("epochs", total=study.progress.epochs, losses="")
        while True:
            study = study.refresh()
            progress.update(task, completed=study.progress.epoch)
            counts = study.progress.by_status
            if study.terminal:
                break
            server.check_health()
            time.sleep(POLL_SECONDS)
    if set(counts) != {"succeeded"}:
        raise RunFailed(f"Not all runs of {study.id} succeeded: {counts}")
    return study


def _print_comparison(study: Study) -> None:
    """Print mean ± standard deviation of each arm over seeds, and the verdicts."""
    extra = {heading: study.compare(metric=metric, at=at) for heading, (metric, at) in EXTRA_COLUMNS.items()}
    primary = study.compare()
    wide_console().print(comparison_table(primary, extra))
    typer.echo(verdict_sentence(primary))


def _print_diagnoses(client: Client, study: Study) -> None:
    """Print the diagnosis of each arm's first seed."""
    for arm in study.arms:
        (run,) = (run for run in client.runs.list(study_id=study.id, limit=1000) if (run.arm, run.seed) == (arm.id, 0))
        diagnosis = run.diagnosis()
        typer.echo(f"{arm.id}, seed 0: {diagnosis.verdict}. {diagnosis.explanation}")
