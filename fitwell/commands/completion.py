"""``completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer import completion as completions


class Shell(StrEnum):
    """The shells that can."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Which shell.")]) -> None:
    """Print a completion script: eval "$(fitwell completion bash)"; or once for all, fitwell --install-completion."""
    script: str = completions.get_completion_script(  # type: ignore[attr-defined]
        prog_name="fitwell", complete_var="_FITWELL_COMPLETE", shell=shell.value
    )
    typer.echo(script)
