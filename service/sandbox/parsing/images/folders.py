"""How the pictures of a zip file are arranged: ``CLASS/picture.png``, or the same below folders of parts.

The parts are ``train/``, ``validation/`` (or ``val/``, ``valid/``) and ``test/``. A folder that contains everything is
ignored, and so are files that are no pictures, such as README.txt.
"""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from service.sandbox.parsing.images.class_subsets import chosen_classes
from service.sandbox.parsing.refusals import Refused, listed, quoted
from service.sandbox.parsing.sources import Named, check_names

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = {
    "train": TRAIN, "training": TRAIN, "validation": VALIDATION, "val": VALIDATION, "valid": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip
"""The part that a folder's name means, in any case."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
OTHER_SUFFIXES = (".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".heif", ".avif", ".jp2", ".dcm", ".ppm", ".pgm")
"""Of pictures that are refused: to leave them out would be a surprise."""
Entries = Sequence[zipfile.ZipInfo]


class Picture(NamedTuple):
    """A picture of the file, its class, and its part if the file has parts."""

    entry: zipfile.ZipInfo
    label: str
    part: str


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """The pictures of each part in the order of their names, and the classes of all in the order of the parts."""

    train: Entries
    validation: Entries
    test: Entries
    labels: Named

    @property
    def entries(self) -> Entries:
        """All pictures, part after part."""
        return [*self.train, *self.validation, *self.test]


def arranged(entries: Entries, classes: Sequence[str], notes: list[str]) -> Arrangement:
    """Return the pictures of ``classes``, or all if it is empty, by part and class.

    Raises:
        Refused: Pictures do not lie in folders of classes, or a class has no pictures to train on.
    """
    pictures = _placed(_pictures(entries, notes))
    names = sorted({picture.label for picture in pictures})
    check_names(names, "class")
    if classes:
        names = chosen_classes(names, classes)
        remaining = [picture for picture in pictures if picture.label in names]
        notes.append(f"{len(pictures) - len(remaining):,} pictures of other classes were left out, as requested.")
        pictures = remaining
    _check_classes(pictures, notes)
    parts = {part: [picture for picture in pictures if picture.part == part] for part in (TRAIN, VALIDATION, TEST)}
    if parts[VALIDATION] and not parts[TEST]:
        notes.append("The file has no test part, so the pictures in its validation folder test.")
        parts[TEST], parts[VALIDATION] = parts[VALIDATION], []
    number = {name: code for code, name in enumerate(names)}
    codes = [number[picture.label] for part in parts.values() for picture in part]
    train, validation, test = ([picture.entry for picture in part] for part in parts.values())
    labels = Named(np.array(codes, np.int64), names)
    return Arrangement(train=train, validation=validation, test=test, labels=labels)


def _pictures(entries: Entries, notes: list[str]) -> list[zipfile.ZipInfo]:
    """Return the pictures in the order of their names, and note which other files were ignored.

    Raises:
        Refused: The file has no pictures, or pictures of an unsupported format.
    """
    suffixes = {
        entry.filename: "" if PurePosixPath(entry.filename).name.startswith(".") else _suffix(entry.filename)
        for entry in entries
    }
    unsupported = [name for name, suffix in suffixes.items() if suffix in OTHER_SUFFIXES]
    if unsupported:
        message = f"The format of {listed(unsupported, 'files')} is not supported; save pictures as PNG or JPEG."
        raise Refused("unknown_picture_format", message, place=quoted(unsupported[0]))
    others = [name for name, suffix in suffixes.items() if suffix not in SUFFIXES]
    if len(others) == len(entries):
        message = f"The zip file has no pictures (PNG or JPEG), only {listed(others, 'files')}."
        raise Refused("no_pictures", message, place=quoted(others[0]))
    if others:
        notes.append(f"Files that are no pictures were ignored: {listed(others, 'files')}.")
    return sorted((entry for entry in entries if suffixes[entry.filename] in SUFFIXES), key=lambda one: one.filename)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _placed(entries: Entries) -> list[Picture]:
    """Return the part and the class of each picture.

    Raises:
        Refused: The folders are not those of classes, or of parts with classes.
    """
    paths = _paths(entries)
    depths = {len(path) for path in paths.values()}
    tops = {path[0] for path in paths.values()}
    in_parts = depths == {3} and all(top.lower() in PARTS for top in tops)
    if not in_parts and (depths != {2} or all(top.lower() in PARTS for top in tops)):
        raise _wrong_folders(paths)
    pictures = [
        Picture(entry, paths[entry.filename][-2], PARTS[paths[entry.filename][0].lower()] if in_parts else TRAIN)
        for entry in entries
    ]
    if not any(picture.part == TRAIN for picture in pictures):
        message = f"The file has the folders {listed(sorted(tops), 'folders')}, but none for training: train/."
        raise Refused("wrong_folders", message)
    return pictures


def _paths(entries: Entries) -> dict[str, tuple[str, ...]]:
    """Return where each picture lies, below the folder that contains everything."""
    paths = {entry.filename: PurePosixPath(entry.filename).parts for entry in entries}
    while len({path[0] for path in paths.values()}) == 1 and min(map(len, paths.values())) > 2:
        paths = {name: path[1:] for name, path in paths.items()}
    return paths


def _wrong_folders(paths: Mapping[str, tuple[str, ...]]) -> Refused:
    """Return the error that names the first picture in a wrong place."""
    in_parts = any(path[0].lower() in PARTS for path in paths.values())
    depth = 3 if in_parts else 2
    wrong = [name for name, path in paths.items() if len(path) != depth or (in_parts and path[0].lower() not in PARTS)]
    place = quoted(wrong[0])
    message = (
        f"Pictures lie in folders named like their classes (cat/1.png), or in those within {TRAIN}/, {VALIDATION}/ and "
        f"{TEST}/ ({TRAIN}/cat/1.png); {listed(wrong, 'pictures')} {'does' if len(wrong) == 1 else 'do'} not."
    )
    return Refused("wrong_folders", message, place=place)


def _check_classes(pictures: Sequence[Picture], notes: list[str]) -> None:
    """Check that every class has pictures to train on, and note the classes that another part lacks."""
    labels = {
        part: {picture.label for picture in pictures if picture.part == part} for part in (TRAIN, VALIDATION, TEST)
    }
    if missing := sorted((labels[VALIDATION] | labels[TEST]) - labels[TRAIN]):
        near = difflib.get_close_matches(missing[0], sorted(labels[TRAIN]), 1)
        hint = f" The nearest folder in {TRAIN}/ is {quoted(near[0])!r}." if near else ""
        message = (
            f"{TRAIN}/ has no folder for the class {listed(missing, 'classes')} of the other parts; the same classes "
            f"have the same folders in every part.{hint}"
        )
        raise Refused("class_not_trained", message, place=quoted(missing[0]))
    for part in (VALIDATION, TEST):
        if labels[part] and (absent := sorted(labels[TRAIN] - labels[part])):
            notes.append(f"{part}/ has no pictures of the class {listed(absent, 'classes')}.")
