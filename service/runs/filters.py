"""The filter language for runs, and its translation to SQL.

    status = "succeeded" AND (spec.optimizer.lr >= 0.1 OR labels.course = "dl") AND NOT best.value > 0.5

A comparison with a field that a run lacks, or whose value has another type, is false rather than an error; ``x = null``
matches missing fields. ``name ~ "dropout"`` matches texts that contain another, in any case. Fields that no run can
have are refused.
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
from service.store.tables import run, study

GRAMMAR = r"""
    ?start: disjunction
    ?disjunction: conjunction ("OR"i conjunction)*   -> any_of
    ?conjunction: negation ("AND"i negation)*        -> all_of
    ?negation: "NOT"i negation                       -> negated
        | "(" disjunction ")"
        | FIELD OPERATOR value                       -> compared
    ?value: ESCAPED_STRING -> text
        | SIGNED_NUMBER    -> number
        | "true"i          -> yes
        | "false"i         -> no
        | "null"i          -> nothing
    OPERATOR: "=" | "!=" | "<=" | ">=" | "<" | ">" | "~"
    FIELD: /(?!(?:and|or|not|true|false|null)\b)[a-z_][A-Za-z0-9_.\-]*/
    %import common.ESCAPED_STRING
    %import common.SIGNED_NUMBER
    %import common.WS
    %ignore WS
"""
FIELD = re.compile(r"[A-Za-z0-9_.-]+")
"""Paths that can be sorted by; other characters would need quoting in PostgreSQL's array literals."""
COLUMNS = {
    **dict.fromkeys(("id", "owner", "status", "name", "study_id", "arm", "spec_hash"), "text"),
    **dict.fromkeys(("reused_from", "extends", "verifies"), "text"),
    **dict.fromkeys(("seed", "priority", "epoch", "epochs", "created_at", "started_at", "finished_at"), "number"),
    **dict.fromkeys(("max_seconds", "spent_seconds"), "number"),
    **dict.fromkeys(("error.code", "study.name"), "text"),
}
"""Columns that filters can use, and the types of their values."""
JSON_COLUMNS = ("spec", "labels", "best", "last", "baseline")
"""JSON columns; filters can use every path inside them."""
MAX_LENGTH, MAX_DEPTH = 2000, 60

Condition = sa.ColumnElement[bool]


def condition(text: str) -> Condition:
    """Return the SQL condition of a filter.

    Raises:
        SpecRefused: The filter has a syntax error, is too long or too deep, or uses a field that no run has.
    """
    if len(text) > MAX_LENGTH:
        raise _refused(f"A filter has at most {MAX_LENGTH} characters; this one has {len(text)}.")
    try:
        tree = _parser().parse(text)
        if _depth(tree) > MAX_DEPTH:
            raise _refused(f"The filter is nested more than {MAX_DEPTH} levels deep. Remove some parentheses or NOTs.")
        sql: Condition = _ToSQL().transform(tree)
    except lark.exceptions.VisitError as error:
        if isinstance(error.orig_exc, SpecRefused):
            raise error.orig_exc from error
        raise
    except lark.exceptions.UnexpectedInput as error:
        where = f"at character {error.pos_in_stream + 1}" if error.pos_in_stream is not None else "at its end"
        raise _refused(
            f'The filter has a syntax error {where}. Combine comparisons (status = "succeeded", best.value < 0.3) with '
            "AND, OR, NOT and parentheses, and put text in double quotes."
        ) from error
    return sql


def _depth(tree: lark.Tree[Any]) -> int:
    """Return the depth of the tree, without recursion, which a deep tree would exhaust."""
    deepest, pending = 0, [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        pending += [(child, depth + 1) for child in node.children if isinstance(child, lark.Tree)]
    return deepest


def numeric(field: str) -> sa.ColumnElement[float]:
    """Return the number in a field, as SQL; null for runs whose field is missing or is not a number.

    Raises:
        SpecRefused: No run has this field, or it is never a number.
    """
    name, _, path = field.partition(".")
    if COLUMNS.get(field) == "number":
        column: sa.ColumnElement[float] = run.c[field]
        return column
    if name in JSON_COLUMNS and path and FIELD.fullmatch(field):
        return _inside(name, path, "sort").as_float()
    raise _refused(f"Cannot sort by {field!r}.{_hint()}", "sort")


def _refused(message: str, parameter: str = "filter") -> SpecRefused:
    return SpecRefused(message, errors=[FieldError(parameter, "bad_filter", message)])


def _hint() -> str:
    return f" The fields are {', '.join(COLUMNS)}, and {', '.join(f'{name}.*' for name in JSON_COLUMNS)}."


@functools.cache
def _parser() -> lark.Lark:
    return lark.Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


class _Inside:
    """A value inside a JSON column."""

    def __init__(self, column: sa.ColumnElement[Any], steps: tuple[str | int, ...]) -> None:
        self._column, self._steps = column, steps

    def _of_type(self, names: tuple[str, ...], value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return ``value``, null where the JSON has another type, on which PostgreSQL's casts would fail."""
        return sa.case((_json_type(self._column, self._steps).in_(names), value))

    def as_float(self) -> sa.ColumnElement[float]:
        return self._of_type(("number", "integer", "real"), self._column[self._steps].as_float())

    def as_string(self) -> sa.ColumnElement[str]:
        return self._of_type(("string", "text"), self._column[self._steps].as_string())

    def as_boolean(self) -> sa.ColumnElement[bool]:
        return self._of_type(("boolean", "true", "false"), self._column[self._steps].as_boolean())

    def missing(self) -> Condition:
        return sa.func.coalesce(_json_type(self._column, self._steps), "null") == "null"


class _json_type(FunctionElement[str]):  # noqa: N801 - named like the SQL function it stands for
    """The type of a value inside a JSON column, as the database names it."""

    type = sa.Text()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], steps: tuple[str | int, ...]) -> None:
        super().__init__(column[steps])


@compiles(_json_type, "postgresql")
def _postgresql_type(element: _json_type, compiler: Any, **options: Any) -> str:
    return f"json_typeof({compiler.process(element.clauses, **options)})"


@compiles(_json_type, "sqlite")
def _sqlite_type(element: _json_type, compiler: Any, **options: Any) -> str:
    indexed = next(iter(element.clauses))
    return f"json_type({compiler.process(indexed.left, **options)}, {compiler.process(indexed.right, **options)})"


def _inside(name: str, path: str, parameter: str = "filter") -> _Inside:
    """Return the value at a dotted path; the names of metrics and labels may contain dots.

    Raises:
        SpecRefused: No run can have this path.
    """
    if (message := objection(name, path)) is not None:
        raise _refused(message, parameter)
    steps: tuple[str | int, ...]
    if name in ("last", "baseline", "labels"):
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

    def compared(self, field: str, operator: str, value: Any) -> Condition:
        name, _, path = field.partition(".")
        if field in COLUMNS:
            return _compared_column(field, operator, value)
        if name in JSON_COLUMNS and not path and value is None:
            return _equality(run.c[name].is_(None), operator, field)
        if name not in JSON_COLUMNS or not path:
            raise _refused(f"Unknown field {str(field)!r}.{_hint()}")
        inside = _inside(name, path)
        if value is None:
            return _equality(inside.missing(), operator, field)
        if isinstance(value, bool):
            return _equality(inside.as_boolean() == sa.literal(value), operator, field)
        return _ordered(inside.as_string() if isinstance(value, str) else inside.as_float(), operator, value)


def _compared_column(field: str, operator: str, value: Any) -> Condition:
    column = _study_name() if field == "study.name" else run.c[field.replace(".", "_")]
    if value is None:
        return _equality(column.is_(None), operator, field)
    kind = "text" if isinstance(value, str) else "number"
    if kind != COLUMNS[field] or isinstance(value, bool):
        raise _refused(f"{str(field)!r} is a {COLUMNS[field]}; compare it with a {COLUMNS[field]}, not with {value!r}.")
    return _ordered(column, operator, value)


def _study_name() -> sa.ColumnElement[Any]:
    """Return the name of a run's study; null without one."""
    return sa.select(study.c.name).where(study.c.id == run.c.study_id).scalar_subquery()


def _equality(same: Condition, operator: str, field: str) -> Condition:
    if operator not in ("=", "!="):
        raise _refused(f"null, true and false have no order. Compare {str(field)!r} with = or !=.")
    return same if operator == "=" else sa.not_(same)


def _ordered(column: sa.ColumnElement[Any], operator: str, value: Any) -> Condition:
    if operator == "~":
        if not isinstance(value, str):
            raise _refused(f"~ compares texts; put {value!r} in double quotes, or compare it with =.")
        return column.icontains(value, autoescape=True)
    conditions: dict[str, Condition] = {
        "=": column == value,
        "!=": column != value,
        "<": column < value,
        "<=": column <= value,
        ">": column > value,
        ">=": column >= value,
    }
    return conditions[str(operator)]
