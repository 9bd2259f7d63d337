"""Commands whose help shows a flag by its name alone, not with the type of its value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command with plain flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return options and arguments; flags show no type."""
        return _plain(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands with plain flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return options and arguments; flags show no type."""
        return _plain(super().get_params(ctx))


def use_plain_flags(*apps: typer.Typer) -> None:
    """Let the commands of ``apps`` show flags without a type."""
    for app in apps:
        app.info.cls = Group
        for command in app.registered_commands:
            command.cls = Command


def _plain(params: Iterable[Any]) -> list[Any]:
    """Return the parameters; a flag's type is shown as nothing."""
    listed = list(params)
    for param in listed:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return listed
