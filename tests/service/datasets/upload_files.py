"""Files to upload: honest ones, and their raw parts for dishonest ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet as arrow_parquet
from sklearn.datasets import load_iris, load_wine

from worker.spec.datasets.digits import Digits

Arrays = np.ndarray[Any, Any]


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(entries: Mapping[Any, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content, method)
    return file.getvalue()


def npy(shape: tuple[int, ...], content: bytes = b"", descr: str = "<f4", *, fortran: bool = False) -> bytes:
    """Return a .npy file with this header."""
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


def csv_text(names: list[str], rows: list[list[Any]]) -> bytes:
    return "\n".join([",".join(names), *(",".join(map(str, row)) for row in rows), ""]).encode()


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    arrow_parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def png(pixels: Arrays) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pictures(*, classes: int = 2, each: int = 5, size: tuple[int, int] = (4, 4), planes: int = 1) -> dict[Any, bytes]:
    """Small pictures in folders named like their classes."""
    source = np.random.default_rng(0)
    shape = (*size, planes) if planes > 1 else size
    return {
        f"class{c}/{i}.png": png(source.integers(0, 256, shape, dtype=np.uint8))
        for c in range(classes)
        for i in range(each)
    }


def wine() -> bytes:
    """scikit-learn's wine as a table: 178 rows, 13 columns, three kinds."""
    data = load_wine()
    rows = [[*map(float, x), data.target_names[y]] for x, y in zip(data.data, data.target, strict=True)]
    return csv_text([*data.feature_names, "cultivar"], rows)


def iris() -> dict[str, Arrays]:
    """scikit-learn's iris as arrays: 150 rows, four columns, three kinds."""
    data = load_iris()
    return {"x": data.data, "y": data.target}


def digits_as_pictures() -> bytes:
    """The bundled digits as PNG files in train/CLASS/ and test/CLASS/, in the order of their rows."""
    data = Digits.load(Path("/nowhere"))
    entries: dict[Any, bytes] = {}
    for part, x, y in (("train", data.train_x, data.train_y), ("test", data.test_x, data.test_y)):
        for i, (pixels, label) in enumerate(zip(x, y, strict=True)):
            entries[f"digits/{part}/{label}/{i:04}.png"] = png((pixels * (255 / 16)).round().astype(np.uint8))
    return zipped(entries)
