"""``completion``: shell completion of commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer import completion as completions


class Shell(StrEnum):
    """A supported shell."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Name of the shell.")]) -> None:
    """Print a completion script: eval "$(fitwell completion bash)". To install it, run fitwell --install-completion."""
    script: str = completions.get_completion_script(  # type: ignore[attr-defined]
        prog_name="fitwell", complete_var="_FITWELL_COMPLETE", shell=shell.value
    )
    typer.echo(script)
