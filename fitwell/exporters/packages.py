"""Packages of other programs, which only exports to them need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fitwell.errors import NotInstalled


def imported(name: str, command: str) -> Any:
    """Return a module.

    Raises:
        NotInstalled: It is not installed; the message names the command that installs it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise NotInstalled(f"{name} is not installed. Install it with: {command}") from error
