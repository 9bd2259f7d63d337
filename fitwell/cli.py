"""The ``fitwell`` command."""

from __future__ import annotations

import sys

import typer

from fitwell.commands import completion, data, demo, export, mcp, models, studies, tokens, webhooks
from fitwell.commands.runs import browse, control, submit
from fitwell.commands.server import backup, doctor, serve
from fitwell.commands.specs import catalog, init, schema, validate
from fitwell.errors import BadAddress, FitwellError, Misunderstood, NotInstalled, Refused, Unreachable
from fitwell.exit_codes import HELP, Exit
from fitwell.local import LocalError
from fitwell.spec_files import SpecFileError

app = typer.Typer(
    no_args_is_help=True,
    help="Train what a spec describes and learn, honestly, whether it fits.",
    epilog=HELP,
    pretty_exceptions_enable=False,
)
PANELS = {
    "Begin": (serve.serve, demo.demo, init.init, doctor.doctor),
    "Runs": (
        submit.submit, validate.validate, browse.ls, browse.show, browse.watch, browse.history, models.download,
        control.cancel, control.rm, export.export, export.report, control.pause, control.resume, control.retry,
        control.extend, control.verify, browse.logs,
    ),
    "Studies": (studies.study, studies.studies, studies.seeds, studies.compare, studies.choose, browse.diagnose),
    "What there is": (catalog.catalog, schema.schema),
    "Serve": (serve.api, serve.worker, backup.backup, mcp.mcp, completion.completion),
}  # fmt: skip
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(data.app, name="data", rich_help_panel="What there is")
app.add_typer(tokens.app, name="token", rich_help_panel="Serve")
app.add_typer(webhooks.app, name="webhook", rich_help_panel="Serve")


def main() -> None:
    """Run the command line; a refusal is a sentence and an exit code, never a traceback."""
    try:
        app(prog_name="fitwell")
    except FitwellError as error:
        _say(str(error))
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        sys.exit(128 + 2)


def code_of(error: FitwellError) -> Exit:
    """The exit code that stands for an error."""
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


def _say(message: str) -> None:
    print(f"fitwell: {message}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
