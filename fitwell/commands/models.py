"""Models: ``calibration``, ``predict``, ``evaluate`` and ``importance``, and ``download`` of models and charts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, RunID, RunOrStudyID
from fitwell.commands.references import find, find_run
from fitwell.local import LocalError
from fitwell.run import Run
from fitwell.sync_async import View
from fitwell.terminal.calibration import calibration_summary, calibration_table
from fitwell.terminal.confusion import confusion_table
from fitwell.terminal.console import wide_console
from fitwell.terminal.evaluations import arm_importance_table, evaluation_table, importance_note, importance_table


class Split(StrEnum):
    """A part of the dataset."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Part(StrEnum):
    """A part of another dataset."""

    TEST = "test"
    TRAIN = "train"
    ALL = "all"


AtEpoch = Annotated[str, typer.Option("--at", help="Epoch of the model: best or last, or averaged.")]
DataFile = Annotated[Path, typer.Argument(metavar="FILE", help="A table with the columns that the model uses.")]
Delimiter = Annotated[str | None, typer.Option("--delimiter", help="Of a text file; default: detected.")]
Decimal = Annotated[str | None, typer.Option("--decimal", help="Decimal mark of a text file: . or ,")]


def calibration(
    run_id: RunID,
    url: URL = None,
    split: Annotated[Split, typer.Option("--split", help="Part of the dataset.")] = Split.TEST,
    at: Annotated[str, typer.Option("--at", help="Epoch of the model: best or last, or averaged.")] = "best",
    bins: Annotated[int, typer.Option("--bins", min=1, max=100, help="Bins of equal width.")] = 15,
    as_json: JSON = False,
) -> None:
    """Show how far a model's probabilities can be trusted: its accuracy for each confidence."""
    with Client(url) as client:
        result = find_run(client, run_id).calibration(split, at=at, bins=bins)
    if as_json:
        typer.echo(result.model_dump_json())
        return
    wide_console().print(calibration_table(result))
    typer.echo(calibration_summary(result))


def confusion(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Show the confusion matrix on the test rows: true classes in rows, predicted ones in columns."""
    with Client(url) as client:
        result = find_run(client, run_id).confusion()
    if as_json:
        typer.echo(result.model_dump_json())
        return
    wide_console().print(confusion_table(result))


def predict(
    run_id: RunID,
    file: DataFile,
    url: URL = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Result: .csv or .parquet; default: FILE-predictions in this folder.")
    ] = None,
    at: AtEpoch = "best",
    delimiter: Delimiter = None,
    decimal: Decimal = None,
) -> None:
    """Write the rows of a table with the model's predictions, and print the path."""
    _check_file(file)
    with Client(url) as client:
        reading = _reading(delimiter, decimal)
        try:
            typer.echo(find_run(client, run_id).predict_file(file, out, at=at, **reading))
        except OSError as error:
            raise LocalError(f"Cannot write to {out or Path.cwd()} ({error.strerror}).") from error


def evaluate(
    run_id: RunID,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Id or kind of a dataset, or a table with the target.")],
    url: URL = None,
    part: Annotated[Part, typer.Option("--split", help="Part of the dataset.")] = Part.TEST,
    target: Annotated[str | None, typer.Option("--target", help="Column of a file with the true values.")] = None,
    at: AtEpoch = "best",
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    as_json: JSON = False,
) -> None:
    """Show a model's metrics on another dataset or file, beside those of guessing."""
    with Client(url) as client:
        reading = _reading(delimiter, decimal)
        result = find_run(client, run_id).evaluate(data, split=part, target=target, at=at, **reading)
    if as_json:
        typer.echo(result.model_dump_json())
        return
    wide_console().print(evaluation_table(result))
    for note in result.notes:
        typer.echo(note)


def importance(
    identifier: RunOrStudyID,
    url: URL = None,
    split: Annotated[Split, typer.Option("--split", help="Part of the dataset.")] = Split.VAL,
    metric: Annotated[str, typer.Option("--metric", help="The loss, or another metric such as accuracy.")] = "loss",
    repeats: Annotated[int, typer.Option("--repeats", min=1, max=100, help="Permutations of each column.")] = 5,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Epoch of the model: best or last; default: best, of a study that of the study."),
    ] = None,
    arms: Annotated[list[str] | None, typer.Option("--arm", help="Study: only this arm (repeatable).")] = None,
    runs: Annotated[
        int, typer.Option("--runs", min=1, max=1000, help="Study: runs to measure, at most; first replicates first.")
    ] = 200,
    as_json: JSON = False,
) -> None:
    """Show how much worse models get if the values of a column are permuted: of a run, or over a study's runs."""
    with Client(url) as client:
        resource = find(client, identifier)
        if isinstance(resource, Run):
            result = resource.importance(split, metric=metric, repeats=repeats, at=at or "best")
            _print(result, as_json, [importance_table(result)])
            return
        over_runs = resource.importance(split=split, metric=metric, repeats=repeats, at=at, arm=arms or [], runs=runs)
    _print(over_runs, as_json, [arm_importance_table(over_runs, arm) for arm in over_runs.arms])
    if not as_json:
        typer.echo(importance_note(over_runs))


def _print(result: View, as_json: bool, tables: Iterable[Table]) -> None:
    """Print a result as JSON, or as tables."""
    if as_json:
        typer.echo(result.model_dump_json())
        return
    for table in tables:
        wide_console().print(table)


def _check_file(file: Path) -> None:
    if not file.is_file():
        raise LocalError(f"File not found: {str(file)!r}.")


def _reading(delimiter: str | None, decimal: str | None) -> dict[str, str]:
    options = {"delimiter": delimiter, "decimal": decimal}
    return {name: value for name, value in options.items() if value is not None}


def download(
    run_id: RunID,
    name: Annotated[str, typer.Argument(help="model.onnx, .py or .safetensors, curve.png or .svg, predictions.png.")],
    url: URL = None,
    to: Annotated[Path | None, typer.Option("--to", help="File or folder; default: the current folder.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Epoch of the model: best (default) or last, or averaged.")
    ] = None,
) -> None:
    """Download a run's model or chart and print the local path."""
    with Client(url) as client:
        run = find_run(client, run_id)
        try:
            typer.echo(run.download(name, to, **({} if at is None else {"at": at})))
        except OSError as error:
            raise LocalError(f"Cannot write to {to or Path.cwd()} ({error.strerror}).") from error
