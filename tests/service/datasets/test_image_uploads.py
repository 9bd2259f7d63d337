"""Images as people have them: folders of parts, photos of several sizes, arrays under other names and layouts."""

from __future__ import annotations

import base64
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from safetensors.numpy import load_file

from service.sandbox.parsing import reader
from service.sandbox.parsing.images import pictures as images
from service.sandbox.parsing.options import Limits, Options, Reading
from service.sandbox.parsing.refusals import Refused
from tests.service.datasets.test_mutations import damaged
from tests.service.datasets.upload_files import npz, pictures, png, zipped
from worker.spec.datasets.uploaded import PREFIX, Content, Uploaded
from worker.spec.rng import parted

LIMITS = Limits(memory_bytes=2**28, dataset_bytes=2**26, seconds=30)
Report = dict[str, Any]
Tensors = dict[str, np.ndarray[Any, Any]]
Parse = Callable[..., tuple[Report, Tensors]]
RANDOM = np.random.default_rng(0)
PIXELS, Y = RANDOM.integers(0, 256, (20, 5, 4, 3), np.uint8), np.arange(20) % 2


@pytest.fixture
def parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Parse an upload in this process; the report and the stored tensors."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)

    def parsed(content: bytes, **options: Any) -> tuple[Report, Tensors]:
        body, data = tmp_path / "body", tmp_path / "data"
        body.write_bytes(content)
        data.unlink(missing_ok=True)
        report = reader.read(body, data, "zip", Reading(Options(**options), LIMITS))
        return report, load_file(data)

    return parsed


def in_parts(*parts: str, classes: int = 2) -> dict[Any, bytes]:
    return {f"{part}/{name}": content for part in parts for name, content in pictures(classes=classes).items()}


def jpeg(pixels: np.ndarray[Any, Any], orientation: int = 1) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def photo(height: int, width: int) -> np.ndarray[Any, Any]:
    """A smooth picture in color."""
    i, j = np.mgrid[0:height, 0:width]
    return np.stack([255 * i / height, 255 * j / width, 128 + 0 * i], 2).astype(np.uint8)


@pytest.mark.parametrize(
    "names", [("train", "validation", "test"), ("Train", "val", "TEST"), ("training", "valid", "test")]
)
def test_validation_folder_validates(names: tuple[str, ...], parse: Parse) -> None:
    report, data = parse(zipped({f"pets/{name}": content for name, content in in_parts(*names).items()}))
    content = report["content"]
    assert (content["rows_train"], content["rows_validation"], content["rows_test"]) == (20, 10, 10)
    assert data["train_validates"].tolist() == [0] * 10 + [1] * 10
    assert data["train_y"].tolist() == ([0] * 5 + [1] * 5) * 2
    np.testing.assert_array_equal(data["train_x"][:10], data["test_x"])


def test_designated_validation_rows_are_those_of_the_run(parse: Parse, tmp_path: Path) -> None:
    report, _ = parse(zipped(in_parts("train", "valid", "test")))
    (tmp_path / "uploads").mkdir()
    (tmp_path / "data").rename(tmp_path / "uploads" / f"{report['sha256']}.safetensors")
    content = Content.model_validate({**report["content"], "shape": (4, 4), "classes": ("class0", "class1")})
    dataset = Uploaded(id=PREFIX + report["sha256"]).resolved(content)
    assert dataset.validation_rows == 10
    train, held_out = parted(dataset, dataset.load(tmp_path))
    assert (sorted(train), sorted(held_out)) == (list(range(10)), list(range(10, 20)))
    assert "The 10 pictures in the validation folder validate." in report["notes"]


def test_validation_folder_tests_without_a_test_folder(parse: Parse) -> None:
    report, data = parse(zipped(in_parts("train", "val")))
    assert (len(data["train_x"]), len(data["test_x"]), "train_validates" in data) == (10, 10, False)
    assert any("validation folder test" in note for note in report["notes"])


def test_other_files_are_ignored_with_a_note(parse: Parse) -> None:
    litter = {"README.md": b"read me", "class0/labels.csv": b"a,b", "class0/._1.png": b"fork", "class1/.keep": b""}
    report, _ = parse(zipped({**pictures(), **litter}))
    alone, _ = parse(zipped(pictures()))
    assert report["sha256"] == alone["sha256"]
    assert report["notes"][0].startswith("Files that are no pictures were ignored: 'README.md', ")
    assert report["notes"][0].endswith(" and 1 other files.")
    assert alone["notes"][0].startswith("The task")


def test_pictures_of_several_sizes_are_refused_with_the_sizes_and_the_option(parse: Parse) -> None:
    files = {f"cat/{i}.png": png(photo(4 + 2 * (i % 3), 30)) for i in range(9)} | {"dog/1.png": png(photo(90, 100))}
    with pytest.raises(Refused) as refused:
        parse(zipped(files))
    error = refused.value
    assert (error.code, error.place, error.parameter) == ("sizes_differ", "cat/1.png", "size")
    assert "4 sizes, from 30×4 to 100×90 pixels (median 30×6)" in error.message
    assert "size=6x6" in error.message


@pytest.mark.parametrize("crop", [False, True])
def test_photos_are_resized_as_pillow_does(crop: bool, parse: Parse) -> None:
    photos = {
        "cat/1.jpg": photo(60, 80),
        "cat/2.jpeg": photo(80, 60),
        "dog/1.JPG": photo(32, 48),
        "dog/2.png": photo(9, 9),
    }
    files = {name: png(pixels) if name.endswith("png") else jpeg(pixels) for name, pixels in photos.items()}
    report, data = parse(zipped(files), size=(32, 48), center_crop=crop, order="time", test_size=1)
    assert report["content"]["shape"] == [3, 32, 48]
    stored = [*data["train_x"], *data["test_x"]]
    for content, pixels in zip(files.values(), stored, strict=True):
        picture = Image.open(io.BytesIO(content))
        fitted = ImageOps.fit(picture, (48, 32), Image.Resampling.BILINEAR)
        resized = fitted if crop else picture.resize((48, 32), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(np.moveaxis(pixels, 0, 2), np.asarray(resized))
    assert report["notes"][0].startswith("3 pictures were resized to 48×32 pixels, ")
    assert ("cut" in report["notes"][0]) == crop


def test_center_crop_needs_a_size(parse: Parse) -> None:
    with pytest.raises(Refused, match="size=64x64") as refused:
        parse(zipped(pictures()), center_crop=True)
    assert (refused.value.code, refused.value.place) == ("wrong_option", "center_crop")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(orientation: int, parse: Parse) -> None:
    content = jpeg(photo(24, 40), orientation)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    other = png(photo(*upright.shape[:2]))
    report, data = parse(
        zipped({"a/1.jpg": content, "a/2.png": other, "b/1.png": other, "b/2.png": other}), order="time"
    )
    assert any((np.moveaxis(x, 0, 2) == upright).all() for x in data["train_x"])
    assert any("EXIF" in note for note in report["notes"]) == (orientation > 1)


def test_photo_with_damaged_exif_stays_unchanged(parse: Parse) -> None:
    content = jpeg(photo(8, 8), 6).replace(b"Exif\0\0", b"Exif\0\0\xff\xff", 1)[:-2] + b"\xff\xd9"
    assert parse(zipped({**{f"a/{i}.png": png(photo(8, 8)) for i in range(3)}, "b/1.jpg": content, "b/2.jpg": content}))


def test_only_the_requested_classes_are_read(parse: Parse) -> None:
    files = {**pictures(classes=3), "class1/9.png": png(photo(7, 7))}
    report, data = parse(zipped(files), classes=("class2", "class0"))
    assert report["content"]["classes"] == ["class0", "class2"]
    assert len(data["train_y"]) + len(data["test_y"]) == 10
    assert "6 pictures of other classes were left out, as requested." in report["notes"]
    with pytest.raises(Refused, match="Did you mean 'class0'") as refused:
        parse(zipped(files), classes=("clas0",))
    assert (refused.value.code, refused.value.allowed) == ("no_such_class", ["class0", "class1", "class2"])
    report, data = parse(npz(x=np.arange(60).reshape(30, 2), y=np.arange(30) % 3), classes=("0", "2"))
    assert report["content"]["classes"] == ["0", "2"]
    rows = np.concatenate([data["train_x"], data["test_x"]])
    assert sorted(rows[:, 0] / 2 % 3) == [0] * 10 + [2] * 10


REFUSED: dict[str, tuple[dict[Any, bytes], str, str]] = {
    "a class in one part only": (
        {**in_parts("train"), **{f"test/class{i}s/1.png": png(photo(4, 4)) for i in range(2)}},
        "class_not_trained",
        "no folder for the class 'class0s', 'class1s' of the other parts",
    ),
    "parts without classes": (
        {f"{part}/{i}.png": png(photo(4, 4)) for part in ("train", "test") for i in range(3)},
        "wrong_folders",
        "'test/0.png'",
    ),
    "test pictures without classes": (
        {**in_parts("train"), "test/1.png": png(photo(4, 4))},
        "wrong_folders",
        "test/1.png",
    ),
    "no training part": (in_parts("validation", "test"), "wrong_folders", "none for training"),
    "other parts": (in_parts("train", "extra"), "wrong_folders", "'extra/class0/0.png'"),
    "a picture at the top": ({**pictures(), "1.png": png(photo(4, 4))}, "wrong_folders", "'1.png'"),
    "no pictures": ({"a/1.txt": b"a", "b/1.txt": b"b"}, "no_pictures", "only 'a/1.txt', 'b/1.txt'"),
    "pictures of another format": ({**pictures(), "class0/9.gif": b"GIF89a"}, "unknown_picture_format", "PNG or JPEG"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arrangement_is_refused_by_name(case: str, parse: Parse) -> None:
    files, code, words = REFUSED[case]
    with pytest.raises(Refused) as refused:
        parse(zipped(files), format="zip")
    assert refused.value.code == code
    assert words in refused.value.message


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("train_data", "train_target", "test_data", "test_target"),
    ],
)
def test_arrays_of_parts_are_recognized_by_usual_names(names: tuple[str, ...], parse: Parse) -> None:
    report, data = parse(npz(**dict(zip(names, (PIXELS[:12], Y[:12], PIXELS[12:], Y[12:]), strict=True))))
    np.testing.assert_array_equal(data["train_x"], np.moveaxis(PIXELS[:12], 3, 1))
    np.testing.assert_array_equal(data["test_y"], Y[12:])
    assert any("recognized by their names" in note for note in report["notes"]) == (names[0].lower() != "x_train")


@pytest.mark.parametrize(
    ("x", "y"),
    [("x", "y"), ("X", "y"), ("images", "labels"), ("data", "targets"), ("arr_0", "arr_1"), ("features", "label")],
)
def test_arrays_of_whole_files_are_recognized_by_usual_names(x: str, y: str, parse: Parse) -> None:
    assert parse(npz(**{x: PIXELS, y: Y}))[0]["sha256"] == parse(npz(x=PIXELS, y=Y))[0]["sha256"]


def test_arrays_of_three_parts_designate_the_validation_rows(parse: Parse) -> None:
    parts = {"train": slice(0, 10), "val": slice(10, 15), "test": slice(15, 20)}
    arrays = {f"{part}_images": PIXELS[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": Y[rows, None] for part, rows in parts.items()}
    report, data = parse(npz(**arrays))
    assert (report["content"]["rows_train"], report["content"]["rows_validation"]) == (15, 5)
    assert data["train_validates"].tolist() == [0] * 10 + [1] * 5
    np.testing.assert_array_equal(data["train_x"], np.moveaxis(PIXELS[:15], 3, 1))
    without = {name: array for name, array in arrays.items() if not name.startswith("test")}
    report, data = parse(npz(**without))
    assert (len(data["train_x"]), len(data["test_x"])) == (10, 5)


def test_arrays_can_be_named_by_their_meaning(parse: Parse) -> None:
    content = npz(pictures=PIXELS, kind=Y, ids=np.arange(20), names=np.array([None] * 20, object))
    with pytest.raises(Refused, match="arrays=x=NAME") as refused:
        parse(content)
    assert (refused.value.code, refused.value.parameter) == ("unknown_arrays", "arrays")
    report, _ = parse(content, arrays={"x": "pictures", "y": "kind"})
    assert report["sha256"] == parse(npz(x=PIXELS, y=Y))[0]["sha256"]
    assert "Arrays without a requested meaning were ignored: 'ids', 'names'." in report["notes"]
    for arrays, code in (
        ({"x": "picture", "y": "kind"}, "unknown_arrays"),
        ({"input": "pictures", "y": "kind"}, "unknown_meaning"),
        ({"x": "pictures"}, "unknown_arrays"),
        ({"x": "pictures", "y": "names"}, "pickle"),
        ({"x_test": "pictures", "y_test": "kind"}, "unknown_arrays"),
    ):
        with pytest.raises(Refused) as refused:
            parse(content, arrays=arrays)
        assert refused.value.code == code


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, bool])
def test_one_hot_labels_become_classes(dtype: Any, parse: Parse) -> None:
    labels = np.arange(30) % 3
    x = np.arange(60.0).reshape(30, 2)
    for order in ("C", "F"):
        report, _ = parse(npz(x=x, y=np.array(np.eye(3)[labels], dtype, order=order)))
        assert report["sha256"] == parse(npz(x=x, y=labels))[0]["sha256"]
        assert "'y' is one-hot; its 3 columns are the classes, numbered from 0." in report["notes"]


@pytest.mark.parametrize(
    ("wrong", "place"), [([[1, 1]], "y[0]"), ([[1, 0], [0, 0]], "y[1]"), ([[0.5, 0.5]], "y[0]"), ([[2, -1]], "y[0]")]
)
def test_labels_that_are_not_one_hot_are_refused_with_the_row(wrong: Any, place: str, parse: Parse) -> None:
    y = np.eye(2)[Y]
    y[: len(wrong)] = wrong
    with pytest.raises(Refused) as refused:
        parse(npz(x=PIXELS, y=y))
    assert (refused.value.code, refused.value.place) == ("wrong_shape", place)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_images_from_0_to_1_become_the_bytes_they_were(dtype: Any, parse: Parse) -> None:
    whole = parse(npz(x_train=PIXELS[:12], y_train=Y[:12], x_test=PIXELS[12:], y_test=Y[12:]))[0]["sha256"]
    x = (PIXELS / 255).astype(dtype)
    report, _ = parse(npz(x_train=x[:12], y_train=Y[:12], x_test=x[12:], y_test=Y[12:]))
    assert report["sha256"] == whole
    assert "The images have fractions from 0 to 1, which were multiplied by 255 and rounded." in report["notes"]
    dim = x / 2
    dim[:12] = x[:12]  # one factor for all parts
    _, data = parse(npz(x_train=x[:12], y_train=Y[:12], x_test=dim[12:], y_test=Y[12:]))
    assert data["test_x"].max() <= 128


def test_images_from_0_to_255_with_fractions_are_rounded(parse: Parse) -> None:
    report, data = parse(npz(x=PIXELS.clip(1, 254) + RANDOM.uniform(-0.4, 0.4, PIXELS.shape), y=Y), order="time")
    np.testing.assert_array_equal(np.moveaxis(data["train_x"], 1, 3), PIXELS[:16].clip(1, 254))
    assert any("fractions from 0 to 255, which were rounded" in note for note in report["notes"])


def test_normalized_images_are_refused_with_the_place(parse: Parse) -> None:
    with pytest.raises(Refused, match="before they were normalized") as refused:
        parse(npz(x=PIXELS / 127.5 - 1, y=Y))
    assert (refused.value.code, refused.value.place.startswith("x[0, ")) == ("wrong_dtype", True)


@pytest.mark.parametrize(
    ("shape", "note"), [((20, 5, 4, 1), "height, width, channels"), ((20, 1, 5, 4), "channels, height")]
)
def test_single_channel_is_dropped_with_a_note(shape: tuple[int, ...], note: str, parse: Parse) -> None:
    report, _ = parse(npz(x=PIXELS[..., 0].reshape(shape), y=Y))
    assert report["content"]["shape"] == [5, 4]
    assert any(note in one and "the single channel was dropped" in one for one in report["notes"])


@pytest.mark.parametrize(("size", "works"), [(images.MAX_PIXELS, True), (images.MAX_PIXELS * 2, False)])
def test_large_photos_need_a_size(size: int, works: bool, parse: Parse) -> None:
    files = {**pictures(planes=3), "class0/9.jpg": jpeg(np.zeros((2048, size // 2048, 3), np.uint8))}
    with pytest.raises(Refused) as refused:
        parse(zipped(files))
    assert (refused.value.code == "sizes_differ") == works
    assert refused.value.parameter == "size"
    assert parse(zipped(files), size=(4, 4))[0]["content"]["shape"] == [3, 4, 4]


def test_preview_shows_images_in_their_colors(parse: Parse) -> None:
    red, blue = (np.zeros((8, 8, 3), np.uint8) for _ in range(2))
    red[..., 0], blue[..., 2] = 200, 100
    files = {f"{name}/{i}.png": png(pixels) for name, pixels in (("a", red), ("b", blue)) for i in range(2)}
    preview = parse(zipped(files), test_size=2)[0]["preview"]
    picture = Image.open(io.BytesIO(base64.b64decode(preview["picture"].partition(",")[2])))
    assert {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()} == {(200, 0, 0), (0, 0, 100)}
    assert preview["pixels"]["mean"] == pytest.approx((200 + 100) / 6 / 255)


def members(archive: bytes) -> dict[Any, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


FUZZED: dict[str, tuple[dict[Any, bytes], dict[str, Any]]] = {
    "photos in parts": (
        {
            f"{part}/{c}/{i}.jpg": jpeg(photo(8 + i, 9), 6)
            for part in ("train", "val", "test")
            for c in "ab"
            for i in range(2)
        },
        {"format": "zip", "size": (8, 8), "center_crop": True},
    ),
    "arrays": (members(npz(x=(PIXELS / 255).astype(np.float32), y=np.eye(2)[Y])), {"format": "npz"}),
}


@pytest.mark.parametrize("name", FUZZED)
def test_damaged_member_is_read_or_refused(name: str, parse: Parse) -> None:
    (whole, options), source = FUZZED[name], random.Random(name)
    refusals = []
    for _ in range(150):
        one = source.choice(sorted(whole))
        try:
            parse(zipped({**whole, one: damaged(whole[one], source)}), **options)
        except Refused as refused:
            refusals.append(refused)
    assert refusals
    assert all(refused.message.isprintable() for refused in refusals)
