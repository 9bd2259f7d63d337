"""From a file to a dataset: rows by format, target, split, the canonical file, the preview."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from service.sandbox.parsing.formats.packed_files import ZIP, holds_tables, is_workbook
from service.sandbox.parsing.images.archives import holds_arrays, opened
from service.sandbox.parsing.images.class_subsets import with_classes
from service.sandbox.parsing.options import Format, Options, Reading
from service.sandbox.parsing.previews import preview
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.sources import Source
from service.sandbox.parsing.splits import split
from service.sandbox.parsing.targets import target_of
from service.sandbox.parsing.writer import write

DIM = 128
MIN_STEPS = 1000
"""Steps of float32 over which a column should vary at least."""
EXACT = 2**24
"""Whole numbers beyond are not exact in float32, so a constant column may have varied."""
TABLES: tuple[Format, ...] = ("csv", "parquet", "arrow", "xlsx", "arff", "npy")
TEXTS: tuple[Format, ...] = ("csv", "arff")
CELLS: tuple[Format, ...] = ("csv", "xlsx")
OF_TABLES = ("target", "drop", "types", "missing", "group", "time", "split", "weight", "lags", "horizon", "rolling")
ONLY_FOR: dict[str, tuple[Format, ...]] = {
    **dict.fromkeys(OF_TABLES, TABLES),
    "header": CELLS,
    "delimiter": ("csv",),
    "decimal": CELLS,
    "encoding": TEXTS,
    "sheet": ("xlsx",),
    "arrays": ("npz",),
    "grey": ("zip",),
    "size": ("zip",),
    "center_crop": ("zip",),
    "classes": ("zip", "npz"),
}


def looks_like(body: Path) -> Format:
    """Return what the first bytes indicate: ``zip`` may also be .npz or a packed table, ``csv`` any other table."""
    with body.open("rb") as file:
        return "zip" if file.read(4) == ZIP else "csv"


def import_for(form: Format) -> None:
    """Import the format's libraries, without their threads and without an allocator that reserves memory ahead."""
    if form in (*TABLES, "zip"):
        os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
        import pyarrow as pa  # noqa: PLC0415 - each format its own libraries

        from service.sandbox.parsing.tables import datasets as table_datasets  # noqa: F401, PLC0415
        from service.sandbox.parsing.tables import prediction_files  # noqa: F401, PLC0415

        pa.set_cpu_count(1)
        pa.set_io_thread_count(1)
    if form not in TABLES:
        from PIL import Image  # noqa: PLC0415

        from service.sandbox.parsing.images import pictures as images  # noqa: F401, PLC0415

        Image.preinit()


def read(body: Path, data: Path, form: Format, reading: Reading) -> dict[str, Any]:
    """Write the dataset in ``body`` to ``data``, and return its description.

    Raises:
        Refused: The file is not a dataset that can be trained on.
    """
    options = reading.options
    if form in TABLES or (form == "zip" and options.format is None and _packs_table(body)):
        return _table(body, data, form, reading)
    source = _archive(body, form, reading)
    target = target_of(source.y, options.task or ("classification" if options.classes else None))
    source, target = with_classes(source, target, options.classes)
    parts = split(source, target, options)
    written = write(data, source, target, parts)
    notes = [*source.notes, f"The task is {target.task}, {target.note}.", parts.note, *_dim(source)]
    return {
        "format": source.format,
        "sha256": written.sha256,
        "bytes": written.bytes,
        "content": {
            "task": target.task,
            "shape": list(source.shape),
            "classes": list(target.classes),
            "rows_train": len(parts.train),
            "rows_test": len(parts.test),
            "order": parts.order,
            "rows_validation": 0 if source.validates is None else int(source.validates.sum()),
        },
        "notes": notes,
        "warnings": _coarse(source),
        "preview": preview(source, target, parts),
    }


def _dim(source: Source) -> list[str]:
    """Return a note if the pictures are almost black: some files use 0 … 16 instead of 0 … 255."""
    brightest = int(max(x.max() for x in source.x)) if len(source.shape) > 1 else 255
    if brightest >= DIM:
        return []
    return [f"The brightest pixel is {brightest} of 255; set dataset.normalize to the preview's figures to compensate."]


def _coarse(source: Source) -> list[str]:
    """Return a warning of columns that float32 stores in a few steps only, such as seconds since 1970."""
    if len(source.shape) > 1:
        return []
    low, high = (np.stack([bound(x, 0) for x in source.x]) for bound in (np.min, np.max))
    spread = high.max(0).astype(np.float64) - low.min(0)
    largest = np.maximum(np.abs(low), np.abs(high)).max(0)
    steps = spread / np.spacing(largest)
    columns = np.flatnonzero((steps < MIN_STEPS) & ((spread > 0) | (largest >= EXACT)))
    if not len(columns):
        return []
    listed = ", ".join(map(str, columns[:20].tolist()))
    return [
        f"Arrays are stored as float32, in which the columns {listed} vary by fewer than {MIN_STEPS} steps. Subtract a "
        "constant, or upload the table as CSV, Parquet or .npy, which keep float64."
    ]


def _check_options(form: Format, options: Options) -> None:
    usual = Options()
    for name, forms in ONLY_FOR.items():
        if form not in forms and getattr(options, name) != getattr(usual, name):
            message = f"{name!r} applies to {' and '.join(forms)} only, and the file is {form}. Remove it."
            raise Refused("wrong_option", message, parameter=name)


def _archive(body: Path, form: Format, reading: Reading) -> Source:
    """Return the rows of a zip file; without a requested format, .npz is recognized by its entries' names."""
    from service.sandbox.parsing.images import npz  # noqa: PLC0415
    from service.sandbox.parsing.images import pictures as images  # noqa: PLC0415

    options, limits = reading.options, reading.limits
    with opened(body) as archive:
        if form == "zip" and options.format is None and holds_arrays(archive):
            form = "npz"
        _check_options(form, options)
        return npz.read(archive, limits, options) if form == "npz" else images.read(archive, limits, options)


def _packs_table(body: Path) -> bool:
    """Return whether a zip file is a workbook, or holds files that are neither images nor arrays."""
    with opened(body) as archive:
        names = archive.namelist()
    return is_workbook(names) or (bool(names) and holds_tables(names))


def _table(body: Path, data: Path, form: Format, reading: Reading) -> dict[str, Any]:
    from service.sandbox.parsing.tables.datasets import write_dataset  # noqa: PLC0415
    from service.sandbox.parsing.tables.reading import content_of, table_of  # noqa: PLC0415

    content, form = content_of(body, form, reading)
    _check_options(form, reading.options)
    return write_dataset(table_of(content, form, reading), data, reading.options, reading.limits)
