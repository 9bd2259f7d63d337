"""Options of commands that read a data file: ``data add`` and ``data change``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from fitwell.spec_files import SpecFileError

TABLES, SERIES, IMAGES = "Tables", "Splits and time series", "Images and arrays"
PAIRS = {"types": "--type", "arrays": "--array"}
"""Options that take ``key=value``."""


def _general(
    *,
    format: Annotated[  # noqa: A002 - the name of the option
        str | None,
        typer.Option("--format", help="csv, parquet, arrow, xlsx, arff, npz, npy or zip; default: detected."),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Column to predict; default: the last.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="Column to leave out (repeatable).")] = None,
    task: Annotated[str | None, typer.Option("--task", help="classification or regression.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the test split.")] = None,
) -> None:
    """Declare the options of all files; never called, like the functions below."""


def _tables(
    *,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="COLUMN=TYPE",
            help="number, category, boolean, date, text or id, instead of the detected type (repeatable).",
            rich_help_panel=TABLES,
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option("--missing", help="Text that stands for a missing value (repeatable).", rich_help_panel=TABLES),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether the first row names the columns.", rich_help_panel=TABLES),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option("--delimiter", help="One character, tab, or whitespace.", rich_help_panel=TABLES),
    ] = None,
    decimal: Annotated[
        str | None, typer.Option("--decimal", help="Decimal mark: . or a comma.", rich_help_panel=TABLES)
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Encoding, such as cp1252.", rich_help_panel=TABLES)
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Sheet of a workbook.", rich_help_panel=TABLES)] = None,
    member: Annotated[str | None, typer.Option("--member", help="Entry of a zip file.", rich_help_panel=TABLES)] = None,
) -> None:
    """Declare the options of tables."""


def _series(
    *,
    test_size: Annotated[
        float | None,
        typer.Option("--test-size", help="Fraction or number of test rows.", rich_help_panel=SERIES),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option("--order", help="Split order: random, or time to test on the last rows.", rich_help_panel=SERIES),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Column that says which rows train, validate and test.", rich_help_panel=SERIES),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", help="Column whose equal values stay together in splits.", rich_help_panel=SERIES),
    ] = None,
    weight: Annotated[
        str | None, typer.Option("--weight", help="Column with the weights of rows.", rich_help_panel=SERIES)
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Column that orders the rows in time.", rich_help_panel=SERIES)
    ] = None,
    lags: Annotated[
        int | None,
        typer.Option("--lags", help="Earlier values of each column to add.", rich_help_panel=SERIES),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option("--horizon", help="Rows from the last known values to the target.", rich_help_panel=SERIES),
    ] = None,
    rolling: Annotated[
        list[int] | None,
        typer.Option(
            "--rolling",
            help="Window, in rows, whose mean and standard deviation are added (repeatable).",
            rich_help_panel=SERIES,
        ),
    ] = None,
) -> None:
    """Declare the options of splits and time series."""


def _images(
    *,
    grey: Annotated[
        bool | None, typer.Option("--grey/--no-grey", help="Convert images to grayscale.", rich_help_panel=IMAGES)
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="HEIGHTxWIDTH", help="Resize images, such as 64x64.", rich_help_panel=IMAGES),
    ] = None,
    center_crop: Annotated[
        bool | None,
        typer.Option(
            "--center-crop/--no-center-crop",
            help="Crop images to the aspect ratio of --size instead of stretching.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Class to keep; default: all (repeatable).", rich_help_panel=IMAGES),
    ] = None,
    arrays: Annotated[
        list[str] | None,
        typer.Option(
            "--array",
            metavar="MEANING=KEY",
            help="Key of a .npz array: x_train=images (repeatable).",
            rich_help_panel=IMAGES,
        ),
    ] = None,
) -> None:
    """Declare the options of images and arrays."""


OPTIONS = tuple(
    option
    for declared in (_general, _tables, _series, _images)
    for option in inspect.signature(declared, eval_str=True).parameters.values()
)


def takes_reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading; it receives those that were set as the mapping ``reading``."""
    signature = inspect.signature(command, eval_str=True)
    others = [one for one in signature.parameters.values() if one.name != "reading"]

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> None:
        reading = {option.name: arguments.pop(option.name) for option in OPTIONS}
        command(**arguments, reading=_parsed(reading))

    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in others]
    wrapper.__signature__ = inspect.Signature([*keywords, *OPTIONS])  # type: ignore[attr-defined]
    return wrapper


def _parsed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were set, with pairs as mappings.

    Raises:
        SpecFileError: An option has no ``=``.
    """
    parsed = {name: value for name, value in options.items() if value not in (None, [])}
    return parsed | {name: _mapping(name, parsed[name]) for name in PAIRS if name in parsed}


def _mapping(name: str, pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        # The type of a column has no "=", and neither has the meaning of an array.
        key, equals, value = pair.rpartition("=") if name == "types" else pair.partition("=")
        if not (key and equals):
            raise SpecFileError(f"{PAIRS[name]} takes key=value, not {pair!r}.")
        mapping[key] = value
    return mapping
