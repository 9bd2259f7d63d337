"""Tables as uploads, without a server: from text to a dataset's part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.sandbox.parsing.options import Limits, Options, Reading
from service.sandbox.parsing.table_datasets import write_dataset
from service.sandbox.parsing.typed_tables import read_table
from worker.spec.datasets.uploaded import Content, Uploaded
from worker.spec.tables import files
from worker.spec.tables.schema import TableSchema

LIMITS = Limits(memory_bytes=2**30, dataset_bytes=2**30, seconds=60)


def uploaded(home: Path, text: str, *, options: Options, **fields: Any) -> Uploaded:
    """Upload a CSV file into ``home``, and return a part with these fields on it."""
    folder = home / "uploads"
    folder.mkdir(exist_ok=True)
    (home / "body").write_text(text)
    report = write_dataset(read_table(home / "body", "csv", Reading(options, LIMITS)), home / "data", options, LIMITS)
    file = folder / f"{report['sha256']}.safetensors"
    (home / "data").rename(file)
    content = Content.model_validate_json(json.dumps(report["content"]))
    part = Uploaded(id=f"dataset_{report['sha256']}", **fields)
    shape = (len(part.preparation.features(schema_of(file))),)
    return part.resolved(content.model_copy(update={"shape": shape}))


def schema_of(file: Path) -> TableSchema:
    """Return the columns of an upload's file."""
    return files.schema_of(files.read_header(file))
