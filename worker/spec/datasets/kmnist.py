"""Kuzushiji-MNIST: 70,000 cursive Japanese characters, 28×28 grey, in MNIST's format and harder than it.

Reference: Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto and Ha, 2018, "Deep learning for classical Japanese
literature".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.idx import IDXDataset


class KMNIST(IDXDataset):
    """60,000 training and 10,000 test pictures of cursive characters, 28×28, in ten classes."""

    reference: ClassVar[str] = "Clanuwat et al. 2018, Deep learning for classical Japanese literature"
    shape: ClassVar[tuple[int, ...]] = (28, 28)
    classes: ClassVar[tuple[str, ...]] = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    rows: ClassVar[tuple[int, int]] = (60_000, 10_000)
    rows_of_classes: ClassVar[tuple[int, ...]] = (6_000,) * 10
    white: ClassVar[float] = 255.0
    files: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    }
    mirrors: ClassVar[tuple[str, ...]] = ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",)

    kind: Literal["kmnist"] = "kmnist"
    validation_size: int = Field(default=10_000, ge=0, description="Rows held out of the training part for validation.")
