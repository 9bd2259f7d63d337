"""The options that decide the type of a column, with its role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.sandbox.parsing.formats.raw_columns import RawColumn
from service.sandbox.parsing.options import ColumnType, Mark, Options


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options that concern a column, and its role."""

    type: ColumnType | None = None
    missing: Sequence[str] = ()
    decimal: Mark | None = None
    comma_likely: bool = False
    elsewhere: Mark | None = None
    """The decimal mark of the file's other columns, if they are sure of one."""
    day_first: bool | None = None
    """The known order of day and month in 1/2/2024; None lets the dates decide."""
    is_target: bool = False
    is_input: bool = True
    """Whether nothing else is known of the column, so that it may be useless."""
    lenient: bool = False
    """Whether a column that fits no type becomes text, since it is dropped."""

    @classmethod
    def of(
        cls, raw: RawColumn, target: str, options: Options, *, comma_likely: bool, elsewhere: Mark | None
    ) -> Request:
        """Return the request of a column of a table with this target."""
        name = raw.name
        roles = (target, options.group, options.time, options.split, options.weight)
        return cls(
            type=options.types.get(name) or raw.declared,
            missing=options.missing,
            decimal=options.decimal,
            comma_likely=comma_likely,
            elsewhere=elsewhere,
            is_target=name == target,
            is_input=name not in roles,
            lenient=name in options.drop,
        )
