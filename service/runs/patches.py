"""Merge patches of specs (RFC 7396): objects are merged, arrays are replaced, null removes a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import SpecRefused

ADDED = "regularizers_add"
"""The field of a patch that appends to the regularizers instead of replacing them."""


def merged(target: Any, patch: Any) -> Any:
    """Return ``target`` with a merge patch applied (RFC 7396); ``target`` itself is not changed."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with a merge patch applied and regularizers appended.

    Raises:
        SpecRefused: The value of ``regularizers_add`` is not a list.
    """
    body: dict[str, Any] = merged(base, {key: value for key, value in patch.items() if key != ADDED})
    if ADDED in patch:
        added = patch[ADDED]
        if not isinstance(added, list):
            message = f"{ADDED} must be a list of regularizers, not {type(added).__name__}."
            raise SpecRefused.at(f"/{ADDED}", "list_type", message)
        body["regularizers"] = [*body.get("regularizers", ()), *added]
    return body


def sets(patch: Mapping[str, Any], steps: Sequence[str]) -> bool:
    """Return whether a patch itself has the field that ``steps`` lead to, which may be null."""
    value: Any = patch
    for step in steps:
        if not isinstance(value, Mapping):
            return True  # an array is replaced as a whole
        if step not in value:
            return False
        value = value[step]
    return True


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the smallest merge patch that turns ``old`` into ``new``, which contains no nulls."""
    patch: dict[str, Any] = dict.fromkeys(name for name in old if name not in new)
    for name, value in new.items():
        if name not in old:
            patch[name] = value
        elif isinstance(value, Mapping) and isinstance(old[name], Mapping):
            if inner := difference(old[name], value):
                patch[name] = inner
        elif old[name] != value:
            patch[name] = value
    return patch


def replacing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that turns ``old`` into ``new``; fields missing from ``new`` are removed."""
    return {**dict.fromkeys(old.keys() - new.keys()), **new}
