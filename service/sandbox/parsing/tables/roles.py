"""The role of each column of a table: target, group, time, split, weight, input, or dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.sandbox.parsing.options import ColumnType, Options
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.tables.columns import Column, Table

NOT_INPUTS: tuple[ColumnType, ...] = ("text", "id")
UNNAMED = re.compile(r"column \d+")
"""Names of columns without one, such as those that a delimiter at the end of each row makes."""
MAX_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The columns of a table by role; ``time`` may also be an input."""

    inputs: Sequence[Column]
    target: Column
    group: Column | None = None
    time: Column | None = None
    split: Column | None = None
    weight: Column | None = None
    dropped: Sequence[Column] = ()
    notes: Sequence[str] = field(default=())


def roles_of(table: Table, options: Options) -> Roles:
    """Assign the columns of ``table``, as requested or by their types.

    Raises:
        Refused: A column does not exist or has two roles, or no input is left.
    """
    notes: list[str] = []
    names = [column.name for column in table.columns]
    requested_drops = {column_named(name, names, "drop") for name in options.drop}
    special = {
        role: None if name is None else column_named(name, names, role)
        for role, name in (
            ("group", options.group), ("time", options.time), ("split", options.split), ("weight", options.weight),
        )
    }  # fmt: skip
    claimed = requested_drops | {name for name in special.values() if name is not None}
    target = _target(table, options, claimed, notes)
    _check_distinct({**special, "target": target}, requested_drops)
    used = {name for role, name in special.items() if name is not None and role != "time"} | {target}
    others = [column for column in table.columns if column.name not in used | requested_drops]
    unfit = [column for column in others if column.type in NOT_INPUTS or column.missing.all()]
    for column in unfit:
        notes.append(_dropped_note(column))
    unfit_names = {column.name for column in unfit}
    inputs = [column for column in others if column.name not in unfit_names]
    if not inputs and not (options.lags or options.rolling):
        raise Refused("no_inputs", _no_inputs(target, unfit))
    by_name = {column.name: column for column in table.columns}
    dropped = [column for column in table.columns if column.name in requested_drops]
    columns = {role: None if name is None else by_name[name] for role, name in special.items()}
    return Roles(inputs=inputs, target=by_name[target], dropped=[*dropped, *unfit], notes=notes, **columns)


def column_named(name: str, names: Sequence[str], parameter: str) -> str:
    """Return the name of a column that is given by its name or by its position, from 0.

    Raises:
        Refused: No column has this name or position.
    """
    if name in names:
        return name
    if name.isascii() and name.isdigit() and int(name) < len(names):
        return names[int(name)]
    listed = ", ".join(quoted(one) for one in names[:MAX_LISTED]) + (", …" if len(names) > MAX_LISTED else "")
    message = f"Unknown column {quoted(name)!r}. The columns are {listed}."
    raise Refused("no_such_column", message, parameter=parameter, allowed=names)


def types_of(options: Options, names: Sequence[str]) -> dict[str, ColumnType]:
    """Return the requested types by the names of the columns.

    Raises:
        Refused: Columns do not exist; the error has the others.
    """
    types, refusals = {}, []
    for name, kind in options.types.items():
        try:
            types[column_named(name, names, "types")] = kind
        except Refused as refused:
            refusals.append(refused)
    if refusals:
        raise Refused.together(refusals)
    return types


def _target(table: Table, options: Options, claimed: set[str], notes: list[str]) -> str:
    names = [column.name for column in table.columns]
    if options.target is not None:
        return column_named(options.target, names, "target")
    free = [name for name in names if name not in claimed]
    if not free:
        raise Refused("no_inputs", "No column is left.")
    empty = {column.name for column in table.columns if UNNAMED.fullmatch(column.name) and column.missing.all()}
    name = next((name for name in reversed(free) if name not in empty), free[-1])
    notes.append(f"The target is the last column{'' if name == free[-1] else ' that has values'}, {name!r}.")
    return name


def _check_distinct(roles: dict[str, str | None], drops: set[str]) -> None:
    """Check that no column has two roles."""
    role_of = dict.fromkeys(drops, "drop")
    for role, name in roles.items():
        if name is not None and name in role_of:
            message = f"The column {name!r} is named by both {role_of[name]} and {role}; a column has one role."
            raise Refused("two_roles", message, parameter=role)
        if name is not None:
            role_of[name] = role


def _dropped_note(column: Column) -> str:
    if column.missing.all():
        return f"The column {column.name!r} has no values, so it is not an input."
    if column.type == "id":
        return f"The column {column.name!r} identifies the rows, so it is not an input."
    return f"The column {column.name!r} is text, which models here do not use, so it is not an input."


def _no_inputs(target: str, unfit: Sequence[Column]) -> str:
    past = "To predict a series from its own past, set lags, such as order=time&lags=12."
    if not unfit:
        return f"The table has only the target column, {target!r}. {past}"
    listed = ", ".join(f"{column.name!r} ({column.type})" for column in unfit[:MAX_LISTED])
    return (
        f"No column besides the target {target!r} can be an input: {listed}. If a column has categories or numbers, "
        f"set its type, such as types={unfit[0].name}=category. {past}"
    )
