"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fitwell.spec_files import SpecFileError, change, load

URL = Annotated[str | None, typer.Option("--url", envvar="FITWELL_URL", help="The server's address.")]
JSON = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change the spec: optimizer.lr=0.1 (repeatable)."),
]
Label = Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label (repeatable).")]
SpecFile = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML, TOML or JSON file, or - for standard input.")]
RunID = Annotated[str, typer.Argument(metavar="RUN", help="A run's id.")]
Either = Annotated[str, typer.Argument(metavar="RUN|STUDY", help="The id of a run or of a study.")]
StudyID = Annotated[str, typer.Argument(metavar="STUDY", help="A study's id.")]


def body_of(path: str, assignments: list[str] | None) -> dict[str, Any]:
    """A spec file's content, changed as the command line says.

    Raises:
        SpecFileError: the file or a change is wrong.
    """
    body = load(path)
    change(body, assignments or ())
    return body


def labels_of(given: list[str] | None) -> dict[str, str]:
    """Labels as they are given on the command line.

    Raises:
        SpecFileError: one has no ``=``.
    """
    pairs = [one.partition("=") for one in given or ()]
    wrong = [key for key, equals, _ in pairs if not equals]
    if wrong:
        raise SpecFileError(f"--label takes key=value; {wrong[0]!r} has no '='.")
    return {key: value for key, _, value in pairs}


def is_study(name: str) -> bool:
    """Whether an id is a study's."""
    return name.startswith("study_")
