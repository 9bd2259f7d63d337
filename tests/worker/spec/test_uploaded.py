"""Uploads as the engine sees them: standardised by the rows that are trained on, checked when they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.sandbox.parsing import reader
from service.sandbox.parsing.options import Limits, Options, Reading
from tests.service.datasets.upload_files import npz
from worker.engine.data import Data
from worker.spec.datasets.uploaded import Content, Uploaded

LIMITS = Limits(memory_bytes=2**30, dataset_bytes=2**30, seconds=60)
CPU = torch.device("cpu")


def uploaded(home: Path, content: bytes, **fields: Any) -> Uploaded:
    """A part on data that were uploaded into ``home``."""
    folder = home / "uploads"
    folder.mkdir(exist_ok=True)
    (home / "body").write_bytes(content)
    result = reader.read(home / "body", home / "data", "npz", Reading(Options(order="time"), LIMITS))
    (home / "data").rename(folder / f"{result['sha256']}.safetensors")
    known = Content.model_validate_json(json.dumps(result["content"]))
    return Uploaded(id=f"dataset_{result['sha256']}", content=known, **fields)


def table() -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1, 1e3, 1e-3] + [0, 1e5, 5]
    x[:, 1] = np.round(x[:, 1])
    return np.column_stack([x, np.full(50, 0.1)]), np.arange(50) % 2


def test_table_is_standardized_by_its_training_rows(tmp_path: Path) -> None:
    x, y = table()
    part = uploaded(tmp_path, npz(x=x, y=y), train_size=20, validation_size=10)
    data = Data(part, tmp_path, CPU)
    trained = data.training(20).x.double()
    torch.testing.assert_close(trained.mean(0), torch.zeros(4).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(trained[:, :3].std(0, correction=0), torch.ones(3).double(), atol=1e-3, rtol=0)
    assert not trained[:, 3].any(), "a constant column is 0"
    rows = data.raw.double().numpy()
    expected = (x[40:, :3].astype(np.float32) - rows.mean(0)[:3]) / rows.std(0)[:3]
    np.testing.assert_allclose(data.test.x[:, :3].numpy(), expected, atol=2e-2)
    assert not data.test.x[:, 3].any()


def test_normalize_applies_after_standardize_and_both_are_optional(tmp_path: Path) -> None:
    x, y = table()
    plain = Data(uploaded(tmp_path, npz(x=x, y=y), standardize=False), tmp_path, CPU)
    np.testing.assert_array_equal(plain.training(5).x.numpy(), plain.raw[:5].numpy())
    standard = Data(uploaded(tmp_path, npz(x=x, y=y)), tmp_path, CPU).training(40).x
    both = Data(uploaded(tmp_path, npz(x=x, y=y), normalize={"mean": 1.0, "std": 2.0}), tmp_path, CPU).training(40).x
    torch.testing.assert_close(both, (standard - 1) / 2, atol=1e-3, rtol=1e-4)


def test_images_are_stored_as_bytes_and_scaled_to_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 5, 4, 3), np.uint8)
    part = uploaded(tmp_path, npz(x=pixels, y=np.arange(30) % 3))
    data = Data(part, tmp_path, CPU)
    assert (part.shape, part.white, data.raw.dtype, data.width) == ((3, 5, 4), 255.0, torch.uint8, 60)
    expected = np.moveaxis(pixels[24:], 3, 1).reshape(6, -1) / np.float32(255)
    np.testing.assert_allclose(data.test.x.numpy(), expected, rtol=1e-6)


def test_missing_truncated_or_altered_file_is_named_when_it_is_read(tmp_path: Path) -> None:
    x, y = table()
    part = uploaded(tmp_path, npz(x=x, y=y))
    file = part.file(tmp_path)
    assert file is not None
    whole = file.read_bytes()
    assert part.missing(tmp_path) is None
    for spoiled in (whole[:-1], whole[:-1] + b"\x01", b""):
        file.write_bytes(spoiled)
        with pytest.raises(FileNotFoundError, match="upload the same file again"):
            part.load(tmp_path)
    file.unlink()
    with pytest.raises(FileNotFoundError, match="Upload the file again"):
        part.load(tmp_path)


@pytest.mark.parametrize(
    "wrong", ["iris", "dataset_", f"dataset_{'g' * 64}", f"dataset_{'a' * 63}/", "../../etc/passwd"]
)
def test_invalid_id_leads_to_no_file(wrong: str, tmp_path: Path) -> None:
    part = Uploaded(id=wrong)
    assert part.file(tmp_path) is None
    assert wrong in (part.missing(tmp_path) or "")
