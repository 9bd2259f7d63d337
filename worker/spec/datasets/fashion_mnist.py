"""FashionMNIST: 70,000 pictures of clothes, 28×28 grey, ten classes, in MNIST's format and harder than it.

Fetched once, or brought by Debian's package ``dataset-fashion-mnist``.

Reference: Xiao, Rasul and Vollgraf, 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.idx import IDXDataset


class FashionMNIST(IDXDataset):
    """60,000 training and 10,000 test pictures of clothes, 28×28, in ten classes."""

    reference: ClassVar[str] = "Xiao, Rasul and Vollgraf 2017, Fashion-MNIST: a novel image dataset"
    shape: ClassVar[tuple[int, ...]] = (28, 28)
    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    rows: ClassVar[tuple[int, int]] = (60_000, 10_000)
    rows_of_classes: ClassVar[tuple[int, ...]] = (6_000,) * 10
    white: ClassVar[float] = 255.0
    files: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    places: ClassVar[tuple[Path, ...]] = (Path("/usr/share/datasets/fashion-mnist"),)
    package: ClassVar[str | None] = "dataset-fashion-mnist"

    kind: Literal["fashion_mnist"] = "fashion_mnist"
    validation_size: int = Field(default=10_000, ge=0, description="Rows held out of the training part for validation.")
