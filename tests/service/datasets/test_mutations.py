"""Valid files with random damage: each is a dataset that can be read, or a clear 422."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.settings import Settings
from tests.service.datasets.conftest import MEMORY, Memory, Upload, left_behind
from tests.service.datasets.upload_files import iris, npz, parquet, pictures, wine, zipped
from worker.spec.datasets.uploaded import Content, Uploaded

pytestmark = pytest.mark.slow
EACH = 25
Y = np.arange(40) % 2
FILES: dict[str, Callable[[], bytes]] = {
    "npz": lambda: npz(**iris()),
    "npz of images": lambda: npz(x=np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), np.uint8), y=Y),
    "csv": wine,
    "parquet": lambda: parquet(a=np.arange(40.0), b=[f"t{i % 3}" for i in range(40)], c=Y),
    "zip": lambda: zipped(pictures(planes=3)),
}


def damaged(content: bytes, source: random.Random) -> bytes:
    """The file after one to three accidents."""
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(content))
        length = source.choice([1, 1, 2, 8, 64])
        match source.choice(["flip", "flip", "noise", "cut", "drop", "double", "zero"]):
            case "flip":
                content = content[:at] + bytes([content[at] ^ 1 << source.randrange(8)]) + content[at + 1 :]
            case "noise":
                content = content[:at] + source.randbytes(length) + content[at + length :]
            case "cut":
                content = content[: max(1, at)]
            case "drop":
                content = content[:at] + content[at + length :]
            case "double":
                content = content[:at] + content[at : at + length] * 2 + content[at + length :]
            case "zero":
                content = content[:at] + bytes(length) + content[at + length :]
    return content or b"\0"


@pytest.mark.parametrize("form", FILES)
def test_damaged_file_is_parsed_or_refused(
    form: str,
    upload: Upload,
    small: Settings,
    memory: Memory,
) -> None:
    source, whole = random.Random(form), FILES[form]()
    assert upload(whole).status_code == 201
    answers = []
    for _ in range(EACH):
        answer = upload(damaged(whole, source))
        answers.append(answer.status_code)
        assert answer.status_code in (200, 201, 422), answer.text
        if answer.status_code == 422:
            for error in answer.json()["errors"]:
                assert (bool(error["code"]), error["message"].isprintable()) == (True, True)
        else:
            _can_be_read(answer.json(), small)
    assert 422 in answers
    assert left_behind(small) == []
    assert all(report["after"]["VmPeak"] - report["before"]["VmSize"] <= MEMORY for report in memory() if report)


def _can_be_read(dataset: dict[str, Any], settings: Settings) -> None:
    content = {name: dataset[name] for name in ("task", "rows_train", "rows_test")}
    known = Content(**content, shape=tuple(dataset["shape"]), classes=tuple(dataset["classes"]))
    known = known if dataset["columns"] is None else known.model_copy(update={"layout": 2})
    data = Uploaded(id=dataset["id"], content=known).load(settings.datasets)
    assert (
        (len(data.train_x), len(data.test_x))
        == (len(data.train_y), len(data.test_y))
        == (known.rows_train, known.rows_test)
    )
    shape = data.train_x.shape[1:] if data.tables is None else (len(data.tables[0].schema.columns),)
    assert shape == known.shape
    if known.task == "classification":
        assert set(data.train_y) == set(range(len(known.classes)))
    assert np.isfinite(data.train_x).all()
