"""The ``fitwell`` command."""

from __future__ import annotations

import sys

import typer

from fitwell.commands import again, data, demo, doctor, runs, schema, serve, studies, tokens, webhooks
from fitwell.errors import FitwellError, Refused, Unreachable
from fitwell.exits import HELP, Exit
from fitwell.local import LocalError
from fitwell.specs import SpecFileError

app = typer.Typer(
    no_args_is_help=True,
    help="Train what a spec describes and learn, honestly, whether it fits.",
    epilog=HELP,
    pretty_exceptions_enable=False,
)
for command in (
    serve.serve,
    demo.demo,
    runs.submit,
    runs.validate,
    runs.ls,
    runs.show,
    runs.watch,
    runs.history,
    runs.download,
    runs.cancel,
    again.extend,
    again.verify,
    again.logs,
    studies.study,
    studies.compare,
    studies.choose,
    studies.diagnose,
    schema.schema,
    doctor.doctor,
    serve.api,
    serve.worker,
):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(tokens.app, name="token")
app.add_typer(webhooks.app, name="webhook")


def main() -> None:
    """Run the command line; a refusal is a sentence and an exit code, never a traceback."""
    try:
        app()
    except Refused as error:
        _say(f"{error.detail or error.code}", *error.lines())
        sys.exit(Exit.REFUSED)
    except Unreachable as error:
        _say(str(error))
        sys.exit(Exit.UNREACHABLE)
    except LocalError as error:
        _say(str(error))
        sys.exit(Exit.LOCAL)
    except SpecFileError as error:
        _say(str(error))
        sys.exit(Exit.USAGE)
    except FitwellError as error:
        _say(str(error))
        sys.exit(Exit.RUN_FAILED)
    except KeyboardInterrupt:
        sys.exit(128 + 2)


def _say(first: str, *more: str) -> None:
    print("\n".join([f"fitwell: {first}", *more]), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
