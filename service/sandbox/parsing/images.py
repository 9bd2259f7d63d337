"""A zip of image folders: ``CLASS/picture.png``, or ``train/CLASS/…`` and ``test/CLASS/…``.

Every picture's header is checked before any is unpacked: all must have one size, which is limited. Color pictures
become three planes; if all are gray, one plane. Transparent pixels become black.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import IO

import numpy as np
from PIL import Image

from service.sandbox.parsing.archives import files_in, stream
from service.sandbox.parsing.options import Limits
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import Named, Source, Values, check_names, check_size

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 2**22
TRAIN, TEST = "train", "test"
GREY = ("1", "L", "LA")
COLOUR = ("P", "RGB", "RGBA", "PA", "CMYK", "YCbCr")
SEE_THROUGH = ("LA", "PA", "RGBA")

Size = tuple[int, int]
Pictures = Sequence[zipfile.ZipInfo]


def read(archive: zipfile.ZipFile, limits: Limits, *, grey: bool) -> Source:
    """The pictures of a zip file; a picture's folder is its class.

    Raises:
        Refused: it is not such a file, or its pictures are not of one size.
    """
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        entries = files_in(archive, most_bytes=2 * limits.dataset_bytes)
        parts, labels = _arranged(entries)
        size, all_grey = _looked_at(archive, [entry for part in parts for entry in part])
        planes = 1 if grey or all_grey else 3
        check_size(len(entries) * (planes * size[0] * size[1] + 8), limits.dataset_bytes)
        x = [_pixels(archive, part, size, planes) for part in parts]
    return Source("zip", x, labels)


def _arranged(entries: Pictures) -> tuple[list[list[zipfile.ZipInfo]], Named]:
    """The pictures of each part in the order of their names, and the classes of all."""
    paths = _paths(entries)
    depth = {len(path) for path in paths.values()}
    if depth != {2} and (depth != {3} or {path[0] for path in paths.values()} != {TRAIN, TEST}):
        wrong = next((name for name, path in paths.items() if len(path) < 2), next(iter(paths)))
        message = (
            f"Pictures lie in folders named like their classes (cat/1.png), or those in {TRAIN}/ and {TEST}/; "
            f"{quoted(wrong)!r} does not."
        )
        raise Refused("wrong_folders", message, place=quoted(wrong))
    ordered = sorted(entries, key=lambda entry: entry.filename)
    names = sorted({path[-2] for path in paths.values()})
    check_names(names, "class")
    if depth == {2}:
        parts = [ordered]
    else:
        parts = [[entry for entry in ordered if paths[entry.filename][0] == part] for part in (TRAIN, TEST)]
    number = {name: code for code, name in enumerate(names)}
    codes = [number[paths[entry.filename][-2]] for part in parts for entry in part]
    return parts, Named(np.array(codes, np.int64), names)


def _paths(entries: Pictures) -> dict[str, tuple[str, ...]]:
    """Where each picture lies, below the folder that all of them share."""
    paths = {entry.filename: PurePosixPath(entry.filename).parts for entry in entries}
    while len({path[0] for path in paths.values()}) == 1 and min(map(len, paths.values())) > 2:
        paths = {name: path[1:] for name, path in paths.items()}
    return paths


def _opened(file: IO[bytes], place: str) -> Image.Image:
    """The picture, of which only the header was read."""
    try:
        return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"{place!r} declares more than {MAX_PIXELS:,} pixels, the maximum."
        raise Refused("bomb", message, place=place) from error


def _looked_at(archive: zipfile.ZipFile, entries: Pictures) -> tuple[Size, bool]:
    """The size that all pictures have, and whether all are grey; only their headers are read."""
    size: Size | None = None
    grey = True
    for entry in entries:
        place = quoted(entry.filename)
        with stream(archive, entry) as file, reading(f"The picture {place!r}", place=place):
            picture = _opened(file, place)
        if picture.mode not in (*GREY, *COLOUR):
            message = f"{place!r} is a picture of the kind {picture.mode!r}; save it with 8 bits for each colour."
            raise Refused("wrong_mode", message, place=place)
        if size is not None and picture.size != size:
            message = (
                f"{place!r} is {_dimensions(picture.size)} pixels and {quoted(entries[0].filename)!r} is "
                f"{_dimensions(size)} pixels; "
                "all pictures must be of one size."
            )
            raise Refused("sizes_differ", message, place=place)
        size = picture.size
        grey = grey and picture.mode in GREY
    assert size is not None
    return size, grey


def _dimensions(size: Size) -> str:
    return f"{size[0]}×{size[1]}"


def _pixels(archive: zipfile.ZipFile, entries: Pictures, size: Size, planes: int) -> Values:
    """The pictures as uint8 (N, H, W) or (N, 3, H, W)."""
    width, height = size
    x = np.empty((len(entries), *((planes,) if planes > 1 else ()), height, width), np.uint8)
    for row, entry in enumerate(entries):
        place = quoted(entry.filename)
        with stream(archive, entry) as file, reading(f"The picture {place!r}", place=place):
            picture = _opened(io.BytesIO(file.read()), place)
            pixels = np.asarray(_flat(picture, "L" if planes == 1 else "RGB"))
        x[row] = pixels if planes == 1 else np.moveaxis(pixels, 2, 0)
    return x


def _flat(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in ``mode``, on black where it is see-through."""
    if picture.mode in SEE_THROUGH or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return picture.convert(mode)
