"""Content types of files with rows to predict."""

from __future__ import annotations

from service.sandbox.parsing.options import Format

OCTETS = "application/octet-stream"
PARQUET = "application/vnd.apache.parquet"
FILE_TYPES: dict[str, Format | None] = {
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    PARQUET: "parquet",
    "application/x-parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/x-arff": "arff",
    OCTETS: None,
}
"""Formats by Content-Type; None means that the first bytes decide."""
