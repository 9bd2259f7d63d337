"""A small upload of color images for the laws."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from worker.spec.datasets.uploaded import FOLDER, PREFIX, file_name

CLASSES, ROWS = 4, (600, 60)
SHAPE = (3, 8, 8)


def installed(home: Path, shape: tuple[int, int, int] = SHAPE) -> dict[str, Any]:
    """Write the dataset into ``home``, and return it as a spec names it."""
    rng = np.random.RandomState(0)
    tensors = {}
    for part, rows in zip(("train", "test"), ROWS, strict=True):
        labels = rng.randint(CLASSES, size=rows)
        tints = np.array([(0, 60, 120), (120, 60, 0), (60, 120, 60), (0, 0, 0)])[labels]
        tensors[f"{part}_x"] = (rng.randint(136, size=(rows, *shape)) + tints[:, :, None, None]).astype(np.uint8)
        tensors[f"{part}_y"] = labels
    content = save(tensors)
    sha256 = hashlib.sha256(content).hexdigest()
    (home / FOLDER).mkdir(exist_ok=True)
    (home / FOLDER / file_name(sha256)).write_bytes(content)
    facts = {"task": "classification", "shape": shape, "classes": list("abcd"), "rows_train": ROWS[0]}
    return {"kind": "uploaded", "id": PREFIX + sha256, "content": {**facts, "rows_test": ROWS[1]}}
