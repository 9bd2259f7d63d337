"""The language of filters on runs, and what it is in SQL.

    status = "succeeded" AND (spec.optimizer.lr >= 0.1 OR labels.course = "dl") AND NOT best.value > 0.5

A place that a run does not have, or that holds a value of another type, compares with nothing: neither it nor its NOT
is an error, and ``x = null`` finds it. A place that no run can have is refused.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import lark
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.errors import FieldError, SpecRefused
from service.runs.json_paths import objection
from service.store.tables import run

GRAMMAR = r"""
    ?start: disjunction
    ?disjunction: conjunction ("OR"i conjunction)*   -> any_of
    ?conjunction: negation ("AND"i negation)*        -> all_of
    ?negation: "NOT"i negation                       -> negated
        | "(" disjunction ")"
        | PLACE OPERATOR value                       -> compared
    ?value: ESCAPED_STRING -> text
        | SIGNED_NUMBER    -> number
        | "true"i          -> yes
        | "false"i         -> no
        | "null"i          -> nothing
    OPERATOR: "=" | "!=" | "<=" | ">=" | "<" | ">"
    PLACE: /(?!(?:and|or|not|true|false|null)\b)[a-z_][A-Za-z0-9_.\-]*/
    %import common.ESCAPED_STRING
    %import common.SIGNED_NUMBER
    %import common.WS
    %ignore WS
"""
PLACE = re.compile(r"[A-Za-z0-9_.-]+")
"""What a place looks like; arrays of PostgreSQL would have to be told where a step ends."""
COLUMNS = {
    **dict.fromkeys(("id", "owner", "status", "name", "study_id", "arm", "spec_hash"), "text"),
    **dict.fromkeys(("reused_from", "extends", "verifies"), "text"),
    **dict.fromkeys(("seed", "priority", "epoch", "epochs", "created_at", "started_at", "finished_at"), "number"),
    **dict.fromkeys(("max_seconds", "spent_seconds"), "number"),
    "error.code": "text",
}
"""Columns that can be compared, and the type of their values."""
INSIDE = ("spec", "labels", "best", "last")
"""Columns of JSON, of which every place can be compared."""
MOST_LENGTH, MOST_DEPTH = 2000, 60

Condition = sa.ColumnElement[bool]


def condition(text: str) -> Condition:
    """What ``text`` asks for.

    Raises:
        SpecRefused: it is not in the language, or asks of a place that there is not.
    """
    if len(text) > MOST_LENGTH:
        raise _refused(f"A filter has at most {MOST_LENGTH} characters; this one has {len(text)}.")
    try:
        tree = _parser().parse(text)
        if _depth(tree) > MOST_DEPTH:
            raise _refused(f"The filter is nested more than {MOST_DEPTH} deep.")
        found: Condition = _ToSQL().transform(tree)
    except lark.exceptions.VisitError as error:
        if isinstance(error.orig_exc, SpecRefused):
            raise error.orig_exc from error
        raise
    except lark.exceptions.UnexpectedInput as error:
        where = f"at character {error.pos_in_stream + 1}" if error.pos_in_stream is not None else "at its end"
        raise _refused(
            f'The filter cannot be read {where}. It is made of comparisons (status = "succeeded", best.value < 0.3), '
            "AND, OR, NOT and parentheses; texts are in double quotes."
        ) from error
    return found


def _depth(tree: lark.Tree[Any]) -> int:
    """How deep the deepest comparison lies; not by recursion, since that is what it guards."""
    deepest, left = 0, [(tree, 1)]
    while left:
        node, depth = left.pop()
        deepest = max(deepest, depth)
        left += [(child, depth + 1) for child in node.children if isinstance(child, lark.Tree)]
    return deepest


def numeric(place: str) -> sa.ColumnElement[float]:
    """The number at ``place``, null where there is none.

    Raises:
        SpecRefused: there is no such place.
    """
    name, _, path = place.partition(".")
    if COLUMNS.get(place) == "number":
        column: sa.ColumnElement[float] = run.c[place]
        return column
    if name in INSIDE and path and PLACE.fullmatch(place):
        return _inside(name, path, "sort").as_float()
    raise _refused(f"There is nothing to sort by at {place!r}.{_known()}", "sort")


def _refused(message: str, parameter: str = "filter") -> SpecRefused:
    return SpecRefused(message, errors=[FieldError(parameter, "bad_filter", message)])


def _known() -> str:
    return f" There are: {', '.join(COLUMNS)}, and places in {', '.join(f'{name}.*' for name in INSIDE)}."


@functools.cache
def _parser() -> lark.Lark:
    return lark.Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


class _Inside:
    """A place in a column of JSON."""

    def __init__(self, column: sa.ColumnElement[Any], steps: tuple[str | int, ...]) -> None:
        self._column, self._steps = column, steps

    def _of_type(self, names: tuple[str, ...], value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """``value``, null where the place holds another type: PostgreSQL's casts would fail on it."""
        return sa.case((_json_type(self._column, self._steps).in_(names), value))

    def as_float(self) -> sa.ColumnElement[float]:
        return self._of_type(("number", "integer", "real"), self._column[self._steps].as_float())

    def as_string(self) -> sa.ColumnElement[str]:
        return self._of_type(("string", "text"), self._column[self._steps].as_string())

    def as_boolean(self) -> sa.ColumnElement[bool]:
        return self._of_type(("boolean", "true", "false"), self._column[self._steps].as_boolean())

    def missing(self) -> Condition:
        return sa.func.coalesce(_json_type(self._column, self._steps), "null") == "null"


class _json_type(FunctionElement[str]):  # noqa: N801 - it is written like the SQL function that it is
    """The type of the value at a place of a JSON column, in the database's own words."""

    type = sa.Text()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], steps: tuple[str | int, ...]) -> None:
        super().__init__(column[steps])


@compiles(_json_type, "postgresql")
def _postgresql_type(element: _json_type, compiler: Any, **options: Any) -> str:
    return f"json_typeof({compiler.process(element.clauses, **options)})"


@compiles(_json_type, "sqlite")
def _sqlite_type(element: _json_type, compiler: Any, **options: Any) -> str:
    place = next(iter(element.clauses))
    return f"json_type({compiler.process(place.left, **options)}, {compiler.process(place.right, **options)})"


def _inside(name: str, path: str, parameter: str = "filter") -> _Inside:
    """The place at a dotted path; the names of metrics and labels have dots of their own.

    Raises:
        SpecRefused: no run can have anything there.
    """
    if (message := objection(name, path)) is not None:
        raise _refused(message, parameter)
    steps: tuple[str | int, ...]
    if name in ("last", "labels"):
        steps = (path,)
    else:
        steps = tuple(int(step) if step.isdecimal() else step for step in path.split("."))
    return _Inside(run.c[name], steps)


@lark.v_args(inline=True)
class _ToSQL(lark.Transformer[Any, Any]):
    def any_of(self, *parts: Condition) -> Condition:
        return sa.or_(*parts)

    def all_of(self, *parts: Condition) -> Condition:
        return sa.and_(*parts)

    def negated(self, part: Condition) -> Condition:
        return sa.not_(sa.func.coalesce(part, sa.false()))

    def text(self, token: str) -> str:
        return str(token[1:-1]).replace('\\"', '"').replace("\\\\", "\\")

    def number(self, token: str) -> float:
        return float(token)

    def yes(self) -> bool:
        return True

    def no(self) -> bool:
        return False

    def nothing(self) -> None:
        return None

    def compared(self, place: str, operator: str, value: Any) -> Condition:
        name, _, path = place.partition(".")
        if place in COLUMNS:
            return _compared_column(place, operator, value)
        if name in INSIDE and not path and value is None:
            return _equality(run.c[name].is_(None), operator, place)
        if name not in INSIDE or not path:
            raise _refused(f"There is no place {str(place)!r}.{_known()}")
        inside = _inside(name, path)
        if value is None:
            return _equality(inside.missing(), operator, place)
        if isinstance(value, bool):
            return _equality(inside.as_boolean() == sa.literal(value), operator, place)
        return _ordered(inside.as_string() if isinstance(value, str) else inside.as_float(), operator, value)


def _compared_column(place: str, operator: str, value: Any) -> Condition:
    column = run.c[place.replace(".", "_")]
    if value is None:
        return _equality(column.is_(None), operator, place)
    kind = "text" if isinstance(value, str) else "number"
    if kind != COLUMNS[place] or isinstance(value, bool):
        raise _refused(f"{str(place)!r} is a {COLUMNS[place]}; compare it with one, not with {value!r}.")
    return _ordered(column, operator, value)


def _equality(same: Condition, operator: str, place: str) -> Condition:
    if operator not in ("=", "!="):
        raise _refused(f"null, true and false are neither less nor more: compare {str(place)!r} by = or !=.")
    return same if operator == "=" else sa.not_(same)


def _ordered(column: sa.ColumnElement[Any], operator: str, value: Any) -> Condition:
    conditions: dict[str, Condition] = {
        "=": column == value,
        "!=": column != value,
        "<": column < value,
        "<=": column <= value,
        ">": column > value,
        ">=": column >= value,
    }
    return conditions[str(operator)]
