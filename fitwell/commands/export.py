"""``export`` and ``report``: histories for other programs, and reports for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Either, is_study
from fitwell.exporters import tensorboard
from fitwell.exporters.mlflow import Tracking
from fitwell.local import LocalError
from fitwell.run import Run
from fitwell.spec_files import SpecFileError


class Target(StrEnum):
    """What a history is written as."""

    CSV = "csv"
    PARQUET = "parquet"
    NDJSON = "ndjson"
    JSON = "json"
    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"


def export(
    ids: Annotated[list[str], typer.Argument(metavar="RUN|STUDY...", help="Runs, or studies for all their runs.")],
    form: Annotated[Target, typer.Option("--format", help="A file for each run, or what another program reads.")] = (
        Target.CSV
    ),
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="A file (of a single run) or a folder, by default this one; of mlflow, the address of its server, by "
            "default MLFLOW_TRACKING_URI.",
        ),
    ] = None,
    experiment: Annotated[str, typer.Option("--experiment", help="Of mlflow: where the runs appear.")] = "fitwell",
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Write the histories of runs to files, to TensorBoard or to MLflow; prints where each is."""
    tracking = _tracking(to) if form is Target.MLFLOW else None
    with Client(url) as client:
        for run in _runs(client, ids):
            try:
                place = _exported(run, form, to, experiment, tracking, several=len(ids) > 1 or is_study(ids[0]))
            except OSError as error:
                raise LocalError(f"Nothing can be written to {to or Path.cwd()} ({error.strerror}).") from error
            typer.echo(json.dumps({"run_id": run.id, "exported": place}) if as_json else place)


def report(
    which: Either,
    to: Annotated[Path | None, typer.Option("--to", help="A file or a folder; by default this one.")] = None,
    url: URL = None,
) -> None:
    """Write all that is known of a run, or the comparison of a study, to one HTML file that can be mailed."""
    with Client(url) as client:
        try:
            place = client.studies.get(which).report(to) if is_study(which) else client.runs.get(which).report(to)
        except OSError as error:
            raise LocalError(f"Nothing can be written to {to or Path.cwd()} ({error.strerror}).") from error
    typer.echo(place)


def _exported(
    run: Run, form: Target, to: str | None, experiment: str, tracking: Tracking | None, *, several: bool
) -> str:
    """Where the run's history is from now on."""
    if tracking is not None:
        return tracking.export(run, run.history, experiment=experiment)
    place = Path(to or ".")
    if form is Target.TENSORBOARD:
        return str(tensorboard.write(run, run.history, place))
    if several or (to or "").endswith(("/", os.sep)):
        place.mkdir(parents=True, exist_ok=True)
    return str(run.export(form, place))


def _runs(client: Client, ids: list[str]) -> Iterator[Run]:
    for one in ids:
        if is_study(one):
            yield from client.studies.get(one).runs()
        else:
            yield client.runs.get(one)


def _tracking(to: str | None) -> Tracking:
    address = to or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address.startswith(("http://", "https://")):
        raise SpecFileError("--format mlflow needs the address of an MLflow server: --to http://127.0.0.1:5000")
    return Tracking(address, token=os.environ.get("MLFLOW_TRACKING_TOKEN"))
