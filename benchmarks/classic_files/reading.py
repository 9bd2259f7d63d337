"""Upload every file and print, as a table, what the server answers: accepted with which shape, or refused and why."""

from __future__ import annotations

from typing import Any

import httpx2

from benchmarks.classic_files.files import FILES, ClassicFile

BINARY = {"content-type": "application/octet-stream"}
REFUSED = 400
LONGEST = 160
"""Characters of an answer that are printed."""


def upload_options(http: httpx2.Client) -> set[str]:
    """Return the names of the options that this version of the server knows."""
    document = http.get("/openapi.json").raise_for_status().json()
    return {parameter["name"] for parameter in document["paths"]["/v1/datasets"]["post"]["parameters"]}


def upload(http: httpx2.Client, file: ClassicFile, known: set[str]) -> httpx2.Response:
    """Upload a file with those of its options that the server knows."""
    params = {"name": file.name} | {name: value for name, value in file.options.items() if name in known}
    return http.post("/v1/datasets", params=params, content=file.content(), headers=BINARY, timeout=120)


def answer(response: httpx2.Response) -> str:
    """Return the answer in words."""
    body: dict[str, Any] = response.json()
    if response.status_code >= REFUSED:
        errors = [error["message"] for error in body.get("errors", [])]
        return _cell(f"refused: {'; '.join(errors) or body['detail']}")
    classes = f", {len(body['classes'])} classes" if body["classes"] else ""
    notes = f"; {' '.join(body['notes'])}" if body["notes"] else ""
    return _cell(f"{body['task']}{classes}, {body['rows_train']} + {body['rows_test']} rows of {body['shape']}{notes}")


def _cell(text: str) -> str:
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def print_answers(url: str) -> None:
    """Print a row of a Markdown table for each file."""
    print("| file | oddities | source | options | answer |")
    print("|---|---|---|---|---|")
    with httpx2.Client(base_url=url) as http:
        known = upload_options(http)
        for file in FILES.values():
            options = " ".join(f"{name}={value}" for name, value in file.options.items() if name in known)
            response = upload(http, file, known)
            print(f"| {file.name} | {file.quirks} | {file.source} | {options} | {answer(response)} |", flush=True)
