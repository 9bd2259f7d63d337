"""A zip of image folders, as :mod:`service.sandbox.parsing.images.folders` describes them.

Every picture's header is checked before any is unpacked: without ``size``, all must have one size. Color pictures
become three planes; if all are grey, one plane. Transparent pixels become black, and photos are turned as their EXIF
orientation says. Resizing is Pillow's bilinear one, which averages over all pixels where it reduces.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from service.sandbox.parsing.images.archives import files_in, stream
from service.sandbox.parsing.images.folders import Entries, arranged
from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import Source, Values, check_size

FORMATS = ("PNG", "JPEG")
MAX_PIXELS, MAX_RESIZED_PIXELS = 2**22, 2**24
"""Of a picture that is stored as it is, and of one that is resized."""
MAX_SUGGESTED_SIZE = 64
GREY = ("1", "L", "LA")
COLOUR = ("P", "RGB", "RGBA", "PA", "CMYK", "YCbCr")
SEE_THROUGH = ("LA", "PA", "RGBA")
UPRIGHT, SIDEWAYS = 1, (5, 6, 7, 8)
"""Values of the EXIF orientation: nothing to turn, and those that exchange width and height."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Turns that make a picture of this orientation upright."""

Size = tuple[int, int]
"""Width and height, as Pillow orders them."""


@dataclass(frozen=True)
class Headers:
    """Facts in the headers of all pictures."""

    sizes: dict[str, Size]
    """By name, upright."""
    all_grey: bool
    turned: int
    """Pictures whose EXIF orientation is not upright."""


def read(archive: zipfile.ZipFile, limits: Limits, options: Options) -> Source:
    """Return the pictures of a zip file; a picture's folder is its class.

    Raises:
        Refused: The file is not such a zip file, or its pictures differ in size and no size is requested.
    """
    if options.center_crop and options.size is None:
        message = "center_crop needs the size to crop to, such as size=64x64."
        raise Refused("wrong_option", message, place="center_crop", parameter="size")
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS if options.size is None else MAX_RESIZED_PIXELS  # Pillow's own limit
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        arrangement = arranged(files_in(archive, most_bytes=2 * limits.dataset_bytes), options.classes, notes)
        headers = _headers(archive, arrangement.entries)
        size = _size(headers, options, notes)
        planes = 1 if options.grey or headers.all_grey else 3
        check_size(len(arrangement.entries) * (planes * size[0] * size[1] + 8), limits.dataset_bytes)
        shape = (*((planes,) if planes > 1 else ()), size[1], size[0])
        parts = [[*arrangement.train, *arrangement.validation], arrangement.test]
        x = [_pixels(archive, part, shape, crop=options.center_crop) for part in parts if part]
    validates = None
    if arrangement.validation:
        validates = np.arange(len(parts[0])) >= len(arrangement.train)
        notes.append(f"The {len(arrangement.validation):,} pictures in the validation folder validate.")
    return Source("zip", x, arrangement.labels, notes=notes, validates=validates)


def _opened(file: IO[bytes], place: str) -> Image.Image:
    """Return the picture, of which only the header was read."""
    try:
        return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = Image.MAX_IMAGE_PIXELS or 0
        message = f"{place!r} declares more than {most:,} pixels, the maximum."
        if most < MAX_RESIZED_PIXELS:
            message += f" Pictures of up to {MAX_RESIZED_PIXELS:,} pixels work with size, such as size=64x64."
        raise Refused("bomb", message, place=place, parameter="size") from error


def _headers(archive: zipfile.ZipFile, entries: Entries) -> Headers:
    """Return the facts in the headers of all pictures."""
    sizes, grey, turned = dict[str, Size](), True, 0
    for entry in entries:
        place = quoted(entry.filename)
        with stream(archive, entry) as file, reading(f"The picture {place!r}", place=place):
            picture = _opened(file, place)
            orientation = _orientation(picture)
        if picture.mode not in (*GREY, *COLOUR):
            message = f"{place!r} is a picture of the kind {picture.mode!r}; save it with 8 bits for each colour."
            raise Refused("wrong_mode", message, place=place)
        sizes[entry.filename] = picture.size[::-1] if orientation in SIDEWAYS else picture.size
        grey = grey and picture.mode in GREY
        turned += orientation != UPRIGHT
    return Headers(sizes, grey, turned)


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation of a photo; upright if it has none, or none that can be read."""
    if picture.format != "JPEG":
        return UPRIGHT
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except (struct.error, KeyError, SyntaxError, TypeError, ValueError, OSError):  # as Pillow itself does
        return UPRIGHT
    return orientation if orientation in TURNS else UPRIGHT


def _size(headers: Headers, options: Options, notes: list[str]) -> Size:
    """Return the size that all pictures get.

    Raises:
        Refused: The pictures differ in size, and no size is requested.
    """
    if headers.turned:
        notes.append(f"{_pictures(headers.turned)} turned as the EXIF orientation says.")
    sizes = set(headers.sizes.values())
    if options.size is None:
        if len(sizes) > 1:
            raise _sizes_differ(headers.sizes)
        return sizes.pop()
    height, width = options.size
    resized = sum(size != (width, height) for size in headers.sizes.values())
    if resized:
        distorted = any(w * height != h * width for w, h in sizes)
        how = (", cut at the center to fit" if options.center_crop else ", stretched to fit") * distorted
        notes.append(f"{_pictures(resized)} resized to {_dimensions((width, height))} pixels{how}.")
    return width, height


def _pictures(count: int) -> str:
    return "1 picture was" if count == 1 else f"{count:,} pictures were"


def _sizes_differ(sizes: Mapping[str, Size]) -> Refused:
    """Return the error that lists smallest, median and largest size, and the option that works."""
    ordered = sorted(sizes.values(), key=lambda size: (size[0] * size[1], size))
    first = next(iter(sizes.values()))
    place = quoted(next(name for name, size in sizes.items() if size != first))
    smallest, median, largest = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    side = min(MAX_SUGGESTED_SIZE, *median)
    message = (
        f"The pictures have {len(set(ordered)):,} sizes, from {_dimensions(smallest)} to {_dimensions(largest)} pixels "
        f"(median {_dimensions(median)}), and a model needs one. Set size={side}x{side} (height x width) to resize "
        "all, and center_crop=true to cut them to shape instead of stretching them."
    )
    return Refused("sizes_differ", message, place=place, parameter="size")


def _dimensions(size: Size) -> str:
    return f"{size[0]}×{size[1]}"


def _pixels(archive: zipfile.ZipFile, entries: Entries, shape: Sequence[int], *, crop: bool) -> Values:
    """Return the pictures as uint8, (N, H, W) or (N, 3, H, W)."""
    x = np.empty((len(entries), *shape), np.uint8)
    size = (shape[-1], shape[-2])
    for row, picture in enumerate(_decoded(archive, entries, "L" if len(shape) == 2 else "RGB")):
        if picture.size != size:
            fit = ImageOps.fit if crop else Image.Image.resize
            picture = fit(picture, size, Image.Resampling.BILINEAR)  # noqa: PLW2901
        pixels = np.asarray(picture)
        x[row] = pixels if len(shape) == 2 else np.moveaxis(pixels, 2, 0)
    return x


def _decoded(archive: zipfile.ZipFile, entries: Entries, mode: str) -> Iterator[Image.Image]:
    """Yield the pictures, upright and in ``mode``."""
    for entry in entries:
        place = quoted(entry.filename)
        with stream(archive, entry) as file, reading(f"The picture {place!r}", place=place):
            picture = _opened(io.BytesIO(file.read()), place)
            orientation = _orientation(picture)
            flat = _flat(picture, mode)
        yield flat if orientation == UPRIGHT else flat.transpose(TURNS[orientation])


def _flat(picture: Image.Image, mode: str) -> Image.Image:
    """Return the picture in ``mode``, on black where it is see-through."""
    if picture.mode in SEE_THROUGH or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return picture.convert(mode)
