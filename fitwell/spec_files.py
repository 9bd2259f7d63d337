"""Spec files: YAML, TOML or JSON, and changes to them from the command line."""

from __future__ import annotations

import json
import math
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from fitwell.errors import FitwellError


class Reader(yaml.SafeLoader):
    """YAML whose numbers are numbers: by PyYAML's rules ``1e-3`` is a text."""


Reader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z"), list("-+.0123456789")
)


class SpecFileError(FitwellError):
    """The file cannot be read as a spec; the message says why."""


def load(path: str) -> dict[str, Any]:
    """The spec in a file, by its ending; ``-`` reads YAML (and so JSON) from standard input.

    Raises:
        SpecFileError: there is no such file, it is not well formed, or it holds no mapping that JSON can say.
    """
    named = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecFileError(f"{named} cannot be read: {error}.") from error
    try:
        spec = _parsed(path, text)
        _check(spec, named)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise SpecFileError(f"{named} is not well formed: {' '.join(str(error).split())}.") from error
    if not isinstance(spec, dict):
        raise SpecFileError(f"{named} must hold a mapping with dataset, model and optimizer.")
    return spec


def _check(value: Any, named: str, way: str = "", above: tuple[int, ...] = ()) -> None:
    """See that JSON can say the value, which stands at ``way`` in what is ``named``."""
    there = f"{named}: {way or 'the value'}"
    if id(value) in above:
        raise SpecFileError(f"{there} holds itself.")
    if isinstance(value, dict):
        for key, one in value.items():
            if not isinstance(key, str):
                raise SpecFileError(f"{there} has the key {key!r}; a key is a text.")
            _check(one, named, f"{way}.{key}" if way else key, (*above, id(value)))
    elif isinstance(value, list):
        for i, one in enumerate(value):
            _check(one, named, f"{way}.{i}" if way else str(i), (*above, id(value)))
    elif isinstance(value, float) and not math.isfinite(value):
        raise SpecFileError(f"{there} is {value}; only finite numbers work.")
    elif not isinstance(value, str | int | float | None):
        raise SpecFileError(f"{there} is a {type(value).__name__} ({value}); put quotes around it to make it a text.")


def _parsed(path: str, text: str) -> Any:
    if path.endswith(".json"):
        return json.loads(text)
    if path.endswith(".toml"):
        return tomllib.loads(text)
    return yaml.load(text, Reader)  # noqa: S506 - it is a safe one


def change(spec: dict[str, Any], assignments: Sequence[str]) -> None:
    """Set places of the spec, in place: ``optimizer.lr=0.1``, ``regularizers.0.p=0.3``; values are YAML.

    Raises:
        SpecFileError: there is no ``=``, the path leads nowhere, or the value is none.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise SpecFileError(f"--set takes path=value, such as optimizer.lr=0.1; {assignment!r} has no '='.")
        *parents, last = path.split(".")
        place: Any = spec
        try:
            value = yaml.load(text, Reader)  # noqa: S506 - it is a safe one
        except (ValueError, yaml.YAMLError) as error:
            raise SpecFileError(f"--set {path}: {text!r} is not well formed.") from error
        _check(value, f"--set {path}")
        try:
            for step in parents:
                place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
            place[int(last) if isinstance(place, list) else last] = value
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise SpecFileError(f"--set {path}: there is no such place in the spec.") from error
