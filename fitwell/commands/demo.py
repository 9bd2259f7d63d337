"""``demo``: the main job on bundled real data, from nothing to a verdict, in under a minute."""

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
from fitwell.terminal.tables import in_words, table_of

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
COLUMNS = {f"last {name}": (name, "last") for name in ("train.loss_eval", "test.accuracy")}
COLUMNS |= {"best val.loss": ("val.loss", "best")}
"""Columns beside the verdict's: metric and epoch."""


def demo(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where to keep everything; a temporary directory otherwise.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving at the end, until Ctrl-C.")] = False,
) -> None:
    """Train three arms × eight paired seeds on handwritten digits, and say which regularizer helps."""
    require_installed("service", "worker", "torch")
    home = data_dir.expanduser().resolve() if data_dir else Path(tempfile.mkdtemp(prefix="fitwell-demo-"))
    ensure_writable(home)
    settings = {"FITWELL_DATA_DIR": str(home), "FITWELL_LOG_LEVEL": "WARNING"}
    server = LocalServer(settings, host="127.0.0.1", port=port or free_port(), workers=1, quiet=True)
    typer.echo(f"Starting Fitwell; its data are in {home}")
    server.start()
    try:
        with Client(server.url) as client:
            began = time.monotonic()
            study = client.studies.create(
                name="does dropout help?", base=BASE, arms=ARMS, seeds=SEEDS, metric="val.loss", at="last"
            )
            typer.echo(f"{study.id}: {len(ARMS)} arms × {SEEDS} seeds are queued at {server.url}")
            study = _follow(study, server)
            typer.echo(f"All trained {time.monotonic() - began:.1f} s after they were submitted.")
            _report(study)
            _diagnose(client, study)
        typer.echo(
            f"\nFitwell listens at {server.url}. Curves and verdicts in a browser: {server.url}/studies/{study.id}"
        )
        typer.echo("The whole comparison, with intervals and every pair:")
        typer.echo(f"  curl {server.url}/v1/studies/{study.id}/compare")
        if keep:
            typer.echo("Ctrl-C ends it.")
            server.supervise()
        else:
            typer.echo(f"It ends now; to serve the same data again: fitwell serve --data-dir {home}")
    finally:
        server.stop()


def _follow(study: Study, server: LocalServer) -> Study:
    """Show how far the study is until all runs have ended.

    Raises:
        RunFailed: one did not succeed.
        LocalError: a process died, or Ctrl-C came.
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
        raise RunFailed(f"{study.id}: not every run succeeded: {counts}")
    return study


def _report(study: Study) -> None:
    """Mean ± standard deviation of each arm over seeds, and the verdict on each."""
    beside = {heading: study.compare(metric=metric, at=at) for heading, (metric, at) in COLUMNS.items()}
    primary = study.compare()
    wide_console().print(table_of(primary, beside))
    typer.echo(in_words(primary))


def _diagnose(client: Client, study: Study) -> None:
    """What the curves of each arm's first seed say."""
    for arm in study.arms:
        (run,) = (run for run in client.runs.list(study_id=study.id, limit=1000) if (run.arm, run.seed) == (arm.id, 0))
        found = run.diagnosis()
        typer.echo(f"{arm.id}, seed 0: {found.verdict}. {found.explanation}")
