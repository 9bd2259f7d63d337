"""``demo``: the main job on bundled real data, from nothing to a table, in under a minute."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import TaskID
from rich.table import Table

from fitwell.client import Client
from fitwell.errors import RunFailed
from fitwell.local import Stack, free_port, writable
from fitwell.run import Run
from fitwell.watching import losses_of, progress_bar

SEEDS = 8
BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200, "validation_size": 500},
    "model": {"kind": "mlp", "hidden": [256, 128]},
    "optimizer": {"kind": "momentum", "lr": 0.05},
    "epochs": 60,
    "batch_size": 20,
}
ARMS: dict[str, list[dict[str, Any]]] = {
    "plain": [],
    "dropout": [{"kind": "dropout", "p": 0.5}],
    "dropout + l2": [{"kind": "dropout", "p": 0.5}, {"kind": "l2", "strength": 0.003}],
}
POLL_SECONDS = 0.3
Pick = Callable[[Run], float | None]
COLUMNS: dict[str, Pick] = {
    "last train.loss_eval": lambda run: run.last["train.loss_eval"],
    "best val.loss": lambda run: run.best["value"] if run.best else None,
    "last val.loss": lambda run: run.last["val.loss"],
    "last test.loss": lambda run: run.last["test.loss"],
    "test.accuracy": lambda run: run.last["test.accuracy"],
}


def demo(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where to keep everything; a temporary directory otherwise.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving at the end, until Ctrl-C.")] = False,
) -> None:
    """Train three arms × eight paired seeds on handwritten digits, and compare them."""
    home = data_dir.expanduser().resolve() if data_dir else Path(tempfile.mkdtemp(prefix="fitwell-demo-"))
    writable(home)
    settings = {"FITWELL_DATA_DIR": str(home), "FITWELL_LOG_LEVEL": "WARNING"}
    stack = Stack(settings, host="127.0.0.1", port=port or free_port(), workers=1, quiet=True)
    typer.echo(f"Starting Fitwell; its data are in {home}")
    stack.start()
    try:
        with Client(stack.url) as client:
            began = time.monotonic()
            runs = {arm: [_submit(client, arm, seed) for seed in range(SEEDS)] for arm in ARMS}
            typer.echo(f"{len(ARMS)} arms × {SEEDS} seeds are queued at {stack.url}")
            runs = _follow(client, runs, stack)
            typer.echo(f"All trained {time.monotonic() - began:.1f} s after they were submitted.")
        _report(runs)
        first = next(iter(runs.values()))[0]
        typer.echo(f"\nFitwell listens at {stack.url}. Every loss of every epoch, such as the first run's:")
        typer.echo(f"  curl {stack.url}/v1/runs/{first.id}/history?format=csv")
        if keep:
            typer.echo("Ctrl-C ends it.")
            stack.keep()
        else:
            typer.echo(f"It ends now; to serve the same data again: fitwell serve --data-dir {home}")
    finally:
        stack.stop()


def _submit(client: Client, arm: str, seed: int) -> Run:
    labels = {"demo": "overfitting", "arm": arm}
    return client.runs.create(name=f"{arm}, seed {seed}", labels=labels, seed=seed, regularizers=ARMS[arm], **BASE)


def _follow(client: Client, runs: dict[str, list[Run]], stack: Stack) -> dict[str, list[Run]]:
    """Show how far each arm is until all have ended.

    Raises:
        RunFailed: one did not succeed.
        LocalError: a process died, or Ctrl-C came.
    """
    with progress_bar() as progress:
        tasks = {arm: progress.add_task(arm, total=SEEDS * BASE["epochs"], losses="") for arm in runs}
        while True:
            now = {run.id: run for run in client.runs.list(labels={"demo": "overfitting"}, limit=SEEDS * len(ARMS))}
            runs = {arm: [now[run.id] for run in of_arm] for arm, of_arm in runs.items()}
            for arm, of_arm in runs.items():
                _show(progress.update, tasks[arm], of_arm)
            every = [run for of_arm in runs.values() for run in of_arm]
            failed = [run for run in every if run.terminal and run.status != "succeeded"]
            if failed:
                raise RunFailed(f"{failed[0].id} {failed[0].status}: {(failed[0].error or {}).get('message', '')}")
            if all(run.terminal for run in every):
                return runs
            stack.check()
            time.sleep(POLL_SECONDS)


def _show(update: Callable[..., None], task: TaskID, of_arm: Sequence[Run]) -> None:
    update(task, completed=sum(run.progress.epoch for run in of_arm), losses=losses_of(of_arm[0].last))


def _report(runs: dict[str, list[Run]]) -> None:
    """Mean ± standard deviation of each arm, and of the differences between runs of equal seeds."""
    baseline, *_ = runs
    table = Table(
        "arm", "n", *COLUMNS, f"last val.loss − {baseline}'s, paired", title="mean ± standard deviation over seeds"
    )
    for arm, of_arm in runs.items():
        cells = [_spread([pick(run) for run in of_arm]) for pick in COLUMNS.values()]
        pick = COLUMNS["last val.loss"]
        pairs = zip([pick(run) for run in of_arm], [pick(run) for run in runs[baseline]], strict=True)
        differences = [a - b for a, b in pairs if a is not None and b is not None]
        table.add_row(arm, str(len(of_arm)), *cells, "" if arm == baseline else _spread(differences, signed=True))
    Console(width=None if Console().is_terminal else 140).print(table)


def _spread(values: Sequence[float | None], *, signed: bool = False) -> str:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return "-"
    mean = statistics.mean(known)
    return f"{mean:{'+' if signed else ''}.4f} ± {statistics.stdev(known):.4f}"
