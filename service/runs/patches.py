"""Merge patches of specs (RFC 7396): objects are merged, arrays replaced whole, null removes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import SpecRefused

ADDED = "regularizers_add"
"""A field of patches that appends instead of replacing."""


def merged(target: Any, patch: Any) -> Any:
    """``target`` changed by a merge patch (RFC 7396)."""
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
    """``base`` changed by a merge patch, and by regularizers to be appended.

    Raises:
        SpecRefused: what is to be added is no list.
    """
    body: dict[str, Any] = merged(base, {key: value for key, value in patch.items() if key != ADDED})
    if ADDED in patch:
        added = patch[ADDED]
        if not isinstance(added, list):
            message = f"{ADDED} is a list of regularizers, not {type(added).__name__}."
            raise SpecRefused.at(f"/{ADDED}", "list_type", message)
        body["regularizers"] = [*body.get("regularizers", ()), *added]
    return body


def replacing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes ``new`` of ``old``: what is not in ``new`` is removed."""
    return {**dict.fromkeys(old.keys() - new.keys()), **new}
