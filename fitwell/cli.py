"""The ``fitwell`` command."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from fitwell.commands import (
    bias_variance,
    comparisons,
    completion,
    data,
    demo,
    export,
    mcp,
    models,
    reproductions,
    studies,
    tokens,
    webhooks,
)
from fitwell.commands.runs import browse, control, organize, queue, submit
from fitwell.commands.server import backup, doctor, serve
from fitwell.commands.specs import catalog, init, presets, schema, validate
from fitwell.errors import BadAddress, FitwellError, Misunderstood, NotInstalled, Refused, Unreachable
from fitwell.exit_codes import HELP, Exit
from fitwell.local import LocalError
from fitwell.spec_files import SpecFileError
from fitwell.terminal.help import use_plain_flags

app = typer.Typer(
    no_args_is_help=True,
    help="Train models from specs, and find out whether they fit.",
    epilog=HELP,
    pretty_exceptions_enable=False,
)
PANELS = {
    "Getting started": (demo.demo, init.init, serve.serve, doctor.doctor),
    "Runs": (
        submit.submit, organize.clone, browse.ls, queue.queue, browse.show, organize.open, browse.watch, browse.history,
        browse.diagnose, browse.logs, organize.label, organize.rename, control.pause, control.resume, control.cancel,
        control.retry, control.extend, control.verify, control.rm,
    ),
    "Studies": (
        studies.study, studies.studies, studies.seeds, comparisons.compare, comparisons.rank, comparisons.choose,
        comparisons.learning_curve, bias_variance.bias_variance, reproductions.reproduce,
    ),
    "Specs and data": (validate.validate, catalog.catalog, presets.presets, schema.schema),
    "Models and exports": (
        models.predict, models.evaluate, models.importance, models.confusion, models.calibration, models.download,
        export.export, export.report,
    ),
    "Server": (serve.api, serve.worker, backup.backup),
    "Integrations": (mcp.mcp, completion.completion),
}  # fmt: skip
"""Commands by panel of the help, in order."""


def _print_version(requested: bool) -> None:
    """Print the version of the package, and exit."""
    if requested:
        typer.echo(f"fitwell {version_of('fitwell')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
use_plain_flags(app, data.app, tokens.app, webhooks.app)
app.add_typer(data.app, name="data", rich_help_panel="Specs and data")
app.add_typer(tokens.app, name="token", rich_help_panel="Server")
app.add_typer(webhooks.app, name="webhook", rich_help_panel="Integrations")


def main() -> None:
    """Run the command line; errors become a message and an exit code, without a traceback."""
    try:
        app(prog_name="fitwell")
    except FitwellError as error:
        print(f"fitwell: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(exit_code_for(error))
    except KeyboardInterrupt:
        sys.exit(128 + 2)


def exit_code_for(error: FitwellError) -> Exit:
    """Return the exit code for an error."""
    for kind, code in (
        (Refused, Exit.REFUSED),
        (Unreachable, Exit.UNREACHABLE),
        (Misunderstood, Exit.UNREACHABLE),
        (BadAddress, Exit.USAGE),
        (LocalError, Exit.LOCAL),
        (NotInstalled, Exit.LOCAL),
        (SpecFileError, Exit.USAGE),
    ):
        if isinstance(error, kind):
            return code
    return Exit.RUN_FAILED


if __name__ == "__main__":
    main()
