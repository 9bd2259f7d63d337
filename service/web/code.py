"""A run's spec as code that submits it: JSON, a curl command and a Python program."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pprint import pformat
from typing import Any

Spec = Mapping[str, Any]


NUMBERS = re.compile(r"\[\s+([\d.,\s-]+?)\s+\]")


def as_json(spec: Spec) -> str:
    """Format the body of POST /v1/runs; lists of numbers take one line."""
    text = json.dumps(spec, indent=2, ensure_ascii=False)
    return NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)


def as_curl(spec: Spec, server: str, *, with_token: bool) -> str:
    """Format a shell command; the spec is quoted."""
    lines = [f"curl -s {shlex.quote(server + '/v1/runs')}"]
    lines += ['-H "Authorization: Bearer $FITWELL_TOKEN"'] if with_token else []
    lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(as_json(spec))}"]
    return " \\\n  ".join(lines)


def as_python(spec: Spec, server: str) -> str:
    """Format a program that uses the client, which reads the token from FITWELL_TOKEN."""
    fields = ",\n".join(f"    {name}={_indented(value)}" for name, value in spec.items())
    return (
        f"import fitwell\n\nclient = fitwell.Client({server!r})\nrun = client.runs.create(\n{fields},\n)\nrun.wait()\n"
    )


def _indented(value: Any) -> str:
    return pformat(value, width=96, sort_dicts=False).replace("\n", "\n        ")
