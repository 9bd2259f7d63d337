"""CIFAR-100: 60,000 small photos in color of a hundred classes in twenty superclasses.

Reference: Krizhevsky, 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.cifar import CIFAR
from worker.spec.families.dataset import Arrays

COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip
FINE = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip


class CIFAR100(CIFAR):
    """50,000 training and 10,000 test photos in color, 32×32, in a hundred classes, or in twenty superclasses."""

    files: ClassVar[Mapping[str, str]] = {
        "cifar-100-binary.tar.gz": "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    }
    members: ClassVar[tuple[Sequence[str], Sequence[str]]] = (
        ["cifar-100-binary/train.bin"],
        ["cifar-100-binary/test.bin"],
    )
    label_bytes: ClassVar[int] = 2

    kind: Literal["cifar100"] = "cifar100"
    validation_size: int = Field(default=5_000, ge=0, description="Rows held out of the training part for validation.")
    labels: Literal["fine", "coarse"] = Field(
        default="fine", description="`fine`: the hundred classes; `coarse`: the twenty superclasses."
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return 3, 32, 32

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or superclasses."""
        return FINE if self.labels == "fine" else COARSE

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the training part and of the test part."""
        return 50_000, 10_000

    @property
    def rows_of_classes(self) -> tuple[int, ...]:
        """Rows of each class or superclass in the training part."""
        return (self.rows[0] // len(self.classes),) * len(self.classes)

    @property
    def white(self) -> float:
        """The raw value of white."""
        return 255.0

    def load(self, home: Path) -> Arrays:
        """Return the data of the archive, verified; each record has its coarse label first."""
        column = int(self.labels == "fine")
        (train_x, train_y), (test_x, test_y) = self.records(home)
        return Arrays(train_x, train_y[:, column].astype("int64"), test_x, test_y[:, column].astype("int64"))
