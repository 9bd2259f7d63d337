"""Spec files in YAML, TOML or JSON, and changes to them from the command line."""

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


class SpecFileError(FitwellError):
    """A spec file or an option on the command line is invalid."""


class DuplicateKey(ValueError):
    """A mapping sets the same key twice."""


class Loader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys and reads ``1e-3`` as a number, which PyYAML reads as text."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next mapping; a merge key (``<<``) may repeat keys that the mapping sets itself.

        Raises:
            DuplicateKey: The mapping sets a key twice.
        """
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if (key.tag, key.value) in lines:
                first = lines[key.tag, key.value]
                raise DuplicateKey(f"line {line}: duplicate key {key.value!r}, already set in line {first}")
            lines[key.tag, key.value] = line
        return node


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z"), list("-+.0123456789")
)


SPECS = r"(?:(?:base|(?:tune\.)?arms\.[^.]+)\.)?(?:warm_start\.spec\.)*"
SHORT_FORMS = re.compile(rf"{SPECS}(?:dataset|model|loss|optimizer|schedule)|datasets\.[^.]+|(?:.+\.)?model\.init")
"""Paths of values that may be only a kind, in specs of runs and studies: ``dataset: digits``, ``init: torch``."""


def load(path: str) -> dict[str, Any]:
    """Return the spec in a file; the format follows from the extension, and ``-`` reads YAML from standard input.

    Raises:
        SpecFileError: The file does not exist, is malformed, or is not a mapping of JSON values.
    """
    source = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecFileError(f"Cannot read {source}: {error}.") from error
    try:
        spec = _parse(path, text)
        _check_json(spec, source)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise SpecFileError(f"{source} is malformed: {_one_line(error)}.") from error
    if not isinstance(spec, dict):
        raise SpecFileError(f"{source} must contain a mapping with dataset, model and optimizer.")
    return spec


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check_json(value: Any, source: str, path: str = "", parents: tuple[int, ...] = ()) -> None:
    """Check that JSON can represent ``value``, which is at ``path`` in ``source``."""
    place = f"{source}: {path or 'the value'}"
    if id(value) in parents:
        raise SpecFileError(f"{place} contains itself.")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise SpecFileError(f"{place} has the key {key!r}; keys must be text.")
            _check_json(item, source, f"{path}.{key}" if path else key, (*parents, id(value)))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_json(item, source, f"{path}.{i}" if path else str(i), (*parents, id(value)))
    elif isinstance(value, float) and not math.isfinite(value):
        raise SpecFileError(f"{place} is {value}; numbers must be finite.")
    elif not isinstance(value, str | int | float | None):
        raise SpecFileError(f"{place} is a {type(value).__name__} ({value}). Put it in quotes to make it text.")


def _parse(path: str, text: str) -> Any:
    if path.endswith(".json"):
        return json.loads(text, object_pairs_hook=_unique_keys)
    if path.endswith(".toml"):
        return tomllib.loads(text)
    return yaml.load(text, Loader)  # noqa: S506 - a safe loader


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a mapping.

    Raises:
        DuplicateKey: The object sets a key twice.
    """
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise DuplicateKey(f"duplicate key {key!r}")
        mapping[key] = value
    return mapping


def apply_changes(spec: dict[str, Any], assignments: Sequence[str]) -> None:
    """Set fields of the spec in place: ``optimizer.lr=0.1``, ``regularizers.0.p=0.3``; values are YAML.

    A part that is only its kind, as in ``dataset: digits`` or ``init: torch``, becomes a mapping if another field of it
    is set.

    Raises:
        SpecFileError: An assignment has no ``=``, its path does not exist, or its value is malformed.
    """
    expanded: list[tuple[Any, str | int]] = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise SpecFileError(f"--set takes path=value, such as optimizer.lr=0.1; {assignment!r} has no '='.")
        try:
            value = yaml.load(text, Loader)  # noqa: S506 - a safe loader
        except (ValueError, yaml.YAMLError) as error:
            raise SpecFileError(f"--set {path}: {text!r} is malformed: {_one_line(error)}.") from error
        _check_json(value, f"--set {path}")
        *parents, last = path.split(".")
        target: Any = spec
        for i, step in enumerate(parents):
            key = _key(target, step, path, parents[:i])
            if _is_short_form(target, key, parents[: i + 1]):
                target[key] = {"kind": target[key]}
                expanded.append((target, key))
            elif isinstance(target, dict) and target.get(key) is None:
                target[key] = {}
            target = target[key]
        target[_key(target, last, path, parents)] = value
    for container, key in expanded:
        part = container[key]
        if isinstance(part, dict) and part.keys() == {"kind"}:
            container[key] = part["kind"]


def _is_short_form(container: Any, key: str | int, steps: Sequence[str]) -> bool:
    """Return whether the value of ``key``, to which ``steps`` lead from the spec, is the kind of a part."""
    value = container.get(key) if isinstance(container, dict) else container[key]
    return isinstance(value, str) and SHORT_FORMS.fullmatch(".".join(steps)) is not None


def _key(container: Any, step: str, path: str, parents: Sequence[str]) -> str | int:
    """Return the key or index in ``container``, to which ``parents`` lead, that ``step`` of ``path`` names.

    Raises:
        SpecFileError: The container is a list without this item, or has no fields.
    """
    if isinstance(container, dict):
        return step
    place = ".".join(parents)
    if isinstance(container, list):
        if re.fullmatch(r"-?\d+", step) and -len(container) <= int(step) < len(container):
            return int(step)
        items = f"has the items 0 to {len(container) - 1}" if container else "is an empty list"
        raise SpecFileError(f"--set {path}: the spec has no field {path!r}; {place} {items}.")
    raise SpecFileError(
        f"--set {path}: {place} is {json.dumps(container, ensure_ascii=False)}, which has no field {step!r}. Set the "
        f"whole value: --set {place}=…"
    )
