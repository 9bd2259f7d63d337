"""The fields that a study varies, with a short text of each arm's value, for tables and charts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.runs.differences import Difference, differences
from service.studies.expansion import path_steps
from service.studies.study import ArmProgress

ARM = "arm"
"""The path that stands for an arm's name, as in ``by`` of a comparison."""
NONE = "none"
MAX_UNPLANNED = 3
"""Fields of arms without a grid; more differences are a matter of the table of differences."""


@dataclass(frozen=True)
class VariedField:
    """A field with its values in the study's arms, in their order."""

    path: str
    name: str
    """The end of the path that distinguishes it from the other fields."""
    texts: Sequence[str]
    numbers: Sequence[float] | None
    """None unless every value is a number."""


def varied_fields(arms: Sequence[ArmProgress], differing: Sequence[Difference]) -> list[VariedField]:
    """Return the fields of the grid, the samples or the datasets, after the arm's name if several have one.

    ``differing`` has the differences between the specs of all arms. Where arms were written one by one, these are the
    fields if they are few and all of them numbers.
    """
    paths = list(dict.fromkeys(path for arm in arms for path in arm.values))
    columns = {path: [arm.values.get(path) for arm in arms] for path in paths}
    if columns and len({arm.name for arm in arms}) > 1:
        columns = {ARM: [arm.name for arm in arms], **columns}
    if not paths and 0 < len(differing) <= MAX_UNPLANNED and all(_numbers(row.values) for row in differing):
        columns = {row.path: list(row.values) for row in differing if len(row.values) == len(arms)}
    columns = {path: values for path, values in columns.items() if len({_key(value) for value in values}) > 1}
    names = short_names(list(columns))
    return [VariedField(path, names[path], short_texts(values), _numbers(values)) for path, values in columns.items()]


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Return the shortest end of each path that no other path ends with; never a bare index."""
    ends = {path: _ends(path) for path in paths}
    return {path: next(end for end in ends[path] if _is_unique(end, path, ends)) for path in paths}


def _is_unique(end: str, path: str, ends: Mapping[str, Sequence[str]]) -> bool:
    return end == ends[path][-1] or all(end not in others for other, others in ends.items() if other != path)


def _ends(path: str) -> list[str]:
    """Return the ends of a path, from its last step to the whole of it."""
    steps = path_steps(path)
    lengths = range(2 if steps[-1].isdigit() and len(steps) > 1 else 1, len(steps) + 1)
    return [".".join(steps[-length:]) for length in lengths]


def short_texts(values: Sequence[Any]) -> list[str]:
    """Return a short text of each value; different values have different texts.

    Parts are named by their kind, with the fields that tell parts of one kind apart.
    """
    alike: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for value in values:
        alike[_text(value)][_key(value)] = value
    texts = {key: text for text, group in alike.items() for key, text in _distinguished(text, group).items()}
    unique = len(set(texts.values())) == len(texts)
    return [texts[_key(value)] if unique else _key(value) for value in values]


def _distinguished(text: str, group: Mapping[str, Any]) -> dict[str, str]:
    """Return a text for each of the values that have the same one."""
    if len(group) == 1:
        return dict.fromkeys(group, text)
    rows = differences([{"": value} for value in group.values()])
    details = [", ".join(f"{_ends(row.path)[0]} {_text(row.values[i])}" for row in rows) for i in range(len(group))]
    unique = len(set(details)) == len(group)
    return {key: f"{text} ({detail})" if unique else key for key, detail in zip(group, details, strict=True)}


def _text(value: Any) -> str:
    """Return the number, the kind of a part, or the parts of a list."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or value in ([], {}):
        return NONE
    if isinstance(value, list):
        return (" + " if any(isinstance(one, Mapping) for one in value) else ", ").join(map(_text, value))
    if isinstance(value, Mapping):
        return str(value["kind"]) if "kind" in value else _key(value)
    return str(value)


def _key(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _numbers(values: Sequence[Any]) -> list[float] | None:
    """Return the values if all of them are numbers."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return numbers if len(numbers) == len(values) else None
