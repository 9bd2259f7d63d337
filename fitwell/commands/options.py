"""Options shared by commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fitwell.spec_files import SpecFileError, apply_changes, load

URL = Annotated[str | None, typer.Option("--url", envvar="FITWELL_URL", help="Address of the server.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Set a field of the spec: optimizer.lr=0.1 (repeatable)."),
]
Label = Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label (repeatable).")]
SpecFile = Annotated[str, typer.Argument(metavar="SPEC", help="YAML, TOML or JSON file; - for standard input.")]
RunID = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, the beginning of it, a name, or @last.")]
RunOrStudyID = Annotated[
    str, typer.Argument(metavar="RUN|STUDY", help="Id of a run or a study, the beginning of it, a name, or @last.")
]
StudyID = Annotated[str, typer.Argument(metavar="STUDY", help="Id of a study, the beginning of it, a name, or @last.")]


def load_spec(path: str, assignments: list[str] | None) -> dict[str, Any]:
    """Return the content of a spec file with the changes of --set.

    Raises:
        SpecFileError: The file or a change is invalid.
    """
    spec = load(path)
    apply_changes(spec, assignments or ())
    return spec


def parse_labels(options: list[str] | None) -> dict[str, str]:
    """Return the labels of --label options.

    Raises:
        SpecFileError: An option has no ``=``.
    """
    pairs = [option.partition("=") for option in options or ()]
    for key, equals, _ in pairs:
        if not equals:
            raise SpecFileError(f"--label takes key=value; {key!r} has no '='.")
    return {key: value for key, _, value in pairs}
