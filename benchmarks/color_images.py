"""FashionMNIST in the shape of CIFAR-10: 28 × 28 gray pixels padded to 32 × 32, in three equal channels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from worker.spec.datasets.fashion_mnist import FashionMNIST
from worker.spec.datasets.uploaded import FOLDER, PREFIX, file_name

HELD_OUT = 500
MEAN, STD = 0.286, 0.353
Array = np.ndarray[Any, Any]


def colored(x: Array) -> Array:
    """Return pixels (rows, 3, 32, 32) of pixels (rows, 28, 28)."""
    return np.repeat(np.pad(x, ((0, 0), (2, 2), (2, 2)))[:, None], 3, axis=1)


def color_images(home: Path, rows: int, held_out: int = HELD_OUT) -> dict[str, Any]:
    """Write color images into the datasets of ``home``; return them as a spec names them.

    Beside ``rows`` for training, ``held_out`` rows each are for validation and for the test.
    """
    arrays = FashionMNIST.load(home)
    images = [colored(x) for x in (arrays.train_x[: rows + held_out], arrays.test_x[:held_out])]
    labels = [arrays.train_y[: rows + held_out], arrays.test_y[:held_out]]
    content = save({"train_x": images[0], "test_x": images[1], "train_y": labels[0].copy(), "test_y": labels[1].copy()})
    sha256 = hashlib.sha256(content).hexdigest()
    (home / FOLDER).mkdir(exist_ok=True)
    (home / FOLDER / file_name(sha256)).write_bytes(content)
    facts = {"task": "classification", "shape": [3, 32, 32], "classes": list(FashionMNIST.classes)}
    sizes = {"rows_train": len(images[0]), "rows_test": len(images[1])}
    return {
        "kind": "uploaded",
        "id": PREFIX + sha256,
        "content": {**facts, **sizes},
        "validation_size": held_out,
        "normalize": {"mean": MEAN, "std": STD},
    }
