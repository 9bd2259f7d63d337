"""The parts of the OpenAPI document that clients depend on, and the copy of them that is under version control.

python -m tests.service.openapi_contract    update the copy, after the API has grown on purpose
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.app import create_app
from service.pointers import pointer_to
from service.settings import Settings

STORED = Path(__file__).parent / "files/openapi.json"
PROSE = {"title", "summary", "description", "example", "examples"}
"""Keywords for readers; they may change at any time."""
NAMED = {"properties", "patternProperties", "$defs", "schemas", "parameters", "headers", "responses", "paths"}
"""Keywords whose keys are names, so that a property may be called ``title``."""


def current() -> dict[str, Any]:
    """Return the document that the service serves."""
    with tempfile.TemporaryDirectory() as home:
        return create_app(Settings(data_dir=Path(home))).openapi()


def contract(value: Any, *, names: bool = False) -> Any:
    """Return a part of the document without prose."""
    if isinstance(value, dict):
        items = {key: item for key, item in value.items() if names or key not in PROSE}
        return {key: contract(item, names=not names and key in NAMED) for key, item in items.items()}
    return [contract(item) for item in value] if isinstance(value, list) else value


def differences(before: Any, after: Any, pointer: str = "") -> Iterator[str]:
    """Yield what was added, removed and changed, by JSON pointer."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            place = pointer + pointer_to(key)
            if key not in after:
                yield f"removed {place}"
            elif key not in before:
                yield f"added {place}"
            else:
                yield from differences(before[key], after[key], place)
    elif before != after:
        yield f"changed {pointer}: {json.dumps(before):.200} → {json.dumps(after):.200}"


def load() -> Any:
    """Return the stored copy."""
    return json.loads(STORED.read_text())


def dump(document: dict[str, Any]) -> str:
    """Return the document as JSON with one path or schema on each line, so that a change can be reviewed."""

    def lines(value: Any, depth: int) -> str:
        if depth == 0 or not isinstance(value, dict):
            return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        items = (f"{json.dumps(key)}:{lines(item, depth - 1)}" for key, item in sorted(value.items()))
        return "{\n" + ",\n".join(items) + "\n}"

    return lines(document, 3) + "\n"


if __name__ == "__main__":
    STORED.write_text(dump(contract(current())))
