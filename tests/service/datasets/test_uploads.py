"""Uploads over HTTP: tables and images, inferred facts, one id for equal content."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sklearn.datasets import load_wine

from service.settings import Settings
from tests.service.datasets.conftest import Upload, files_of, left_behind, stored
from tests.service.datasets.upload_files import csv_text, iris, npz, parquet, pictures, png, wine, zipped

pytestmark = pytest.mark.slow


def test_table_becomes_a_dataset_with_inferred_facts(upload: Upload, small: Settings) -> None:
    answer = upload(wine(), name="wine")
    dataset = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/datasets/{dataset['id']}")
    assert (dataset["name"], dataset["format"], dataset["task"]) == ("wine", "csv", "classification")
    assert (dataset["shape"], dataset["classes"]) == ([13], ["class_0", "class_1", "class_2"])
    assert (dataset["rows_train"], dataset["rows_test"]) == (142, 36)
    assert dataset["spec"] == {"kind": "uploaded", "id": dataset["id"]}
    assert "'cultivar'" in dataset["notes"][0]
    data, theirs = stored(small, dataset), load_wine()
    rows = {(x.tobytes(), int(y)) for x, y in zip(theirs.data, theirs.target, strict=True)}
    parts = [(data[f"{part}_numbers"], data[f"{part}_y"]) for part in ("train", "test")]
    mine = [(x.tobytes(), int(label)) for values, y in parts for x, label in zip(values, y, strict=True)]
    assert (set(mine), len(mine)) == (rows, 178)
    assert left_behind(small) == []


def test_equal_content_is_stored_once_in_any_file_format(upload: Upload, small: Settings) -> None:
    theirs = load_wine()
    columns = dict(zip(theirs.feature_names, theirs.data.T, strict=True))
    first = upload(wine(), name="wine").json()
    before = files_of(small)
    for content, name in (
        (wine(), "again"),
        (parquet(**columns, cultivar=theirs.target_names[theirs.target]), "parquet"),
    ):
        answer = upload(content, name=name)
        assert (answer.status_code, answer.json()["id"]) == (200, first["id"])
    assert files_of(small) == before
    assert upload(wine(), name="other split", seed=1).json()["id"] != first["id"]


def test_upload_id_is_the_digest_of_its_file(upload: Upload, small: Settings) -> None:
    dataset = upload(npz(**iris())).json()
    (file,) = [path for path in files_of(small) if path.stem in dataset["id"]]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (dataset["id"], dataset["sha256"]) == (f"dataset_{digest}", f"sha256:{digest}")
    assert dataset["bytes"] == file.stat().st_size


def test_digest_of_known_data_is_the_same_in_every_version(upload: Upload) -> None:
    """An id that changes with a release would break every spec that names it."""
    rows = [[i, i / 4, "yes" if i % 3 else "no"] for i in range(12)]
    assert upload(csv_text(["a", "b", "c"], rows)).json()["id"] == (
        "dataset_83ea68b2a9b49d1bd44f71318f2604972f482c2feb209f89971c2de231d3eb7c"
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_images_are_read_in_any_layout_and_type_that_holds_them(order: Any, upload: Upload, small: Settings) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 5, 4, 3))
    y = np.arange(20) % 2
    expected = np.moveaxis(pixels, 3, 1)
    for options in (pixels.astype(np.uint8), pixels.astype(">i4"), pixels.astype(float), expected):
        dataset = upload(npz(x=np.array(options, order=order), y=y), order="time").json()
        assert dataset["shape"] == [3, 5, 4]
        np.testing.assert_array_equal(stored(small, dataset)["train_x"], expected[:16])
    grey = upload(npz(x=np.array(pixels[..., :1], order=order), y=y), order="time").json()
    assert grey["shape"] == [5, 4]
    np.testing.assert_array_equal(stored(small, grey)["train_x"], pixels[:16, ..., 0])


def test_zip_of_folders_becomes_images_in_order_of_names(upload: Upload, small: Settings) -> None:
    files = pictures(classes=3, each=4)
    dataset = upload(zipped({f"outer/{name}": content for name, content in files.items()}), name="zip").json()
    assert (dataset["format"], dataset["shape"], dataset["classes"]) == ("zip", [4, 4], ["class0", "class1", "class2"])
    data = stored(small, dataset)
    pixels = {np.asarray(Image.open(io.BytesIO(content))).tobytes() for content in files.values()}
    assert {x.tobytes() for part in ("train_x", "test_x") for x in data[part]} == pixels
    parts = {f"{part}/{name}": content for part in ("train", "test") for name, content in files.items()}
    both = stored(small, upload(zipped(parts | {"__MACOSX/train/._x": b"litter"})).json())
    np.testing.assert_array_equal(both["train_x"], both["test_x"])
    assert both["train_y"].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_color_images_have_three_planes_unless_grey_is_requested(upload: Upload, small: Settings) -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    files = {**pictures(), "class1/9.png": png(red)}
    coloured, grey = upload(zipped(files)).json(), upload(zipped(files), grey=True).json()
    assert (coloured["shape"], grey["shape"]) == ([3, 4, 4], [4, 4])
    data = stored(small, coloured)
    assert any((x[0] == 200).all() and (x[1:] == 0).all() for x in np.concatenate([data["train_x"], data["test_x"]]))


def test_transparent_pixels_become_black(upload: Upload, small: Settings) -> None:
    clear = np.full((4, 4, 4), 255, np.uint8)
    clear[..., 3] = 0
    data = stored(small, upload(zipped({**pictures(planes=3), "class1/9.png": png(clear)})).json())
    assert any((x == 0).all() for x in np.concatenate([data["train_x"], data["test_x"]]))


def test_columns_keep_their_types_and_can_be_dropped(upload: Upload, client: TestClient) -> None:
    rows = [[i / 2, f"row {i}", "red" if i % 3 else "blue", i % 2] for i in range(150)]
    content = csv_text(["size", "note", "colour", "kind"], rows)
    dataset = upload(content).json()
    roles = {column["name"]: (column["type"], column["role"]) for column in dataset["columns"]}
    assert roles == {
        "size": ("number", "input"), "colour": ("category", "input"),
        "kind": ("number", "target"), "note": ("id", "dropped"),
    }  # fmt: skip
    assert any("'note' identifies the rows" in note for note in dataset["notes"])
    assert upload(content, drop="note").json()["id"] == dataset["id"]
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    assert preview["columns"] == ["size", "colour"]
    assert [row["x"][1] for row in preview["rows"]] == [
        "red" if 2 * row["x"][0] % 3 else "blue" for row in preview["rows"]
    ]
    assert upload(content, drop="2").json()["shape"] == [1]
    assert upload(content, drop="note", target="colour").json()["classes"] == ["blue", "red"]


@pytest.mark.parametrize(
    ("values", "requested", "task", "classes"),
    [
        (list(range(20)) * 2, None, "classification", [str(i) for i in range(20)]),
        (list(range(21)) * 2, None, "regression", []),
        (list(range(21)) * 2, "classification", "classification", [str(i) for i in range(21)]),
        ([0.5, 1.5] * 9, None, "regression", []),
        ([0.5, 1.5] * 9, "classification", "classification", ["0.5", "1.5"]),
        ([2.0, -1.0] * 9, None, "classification", ["-1", "2"]),
        ([0, 1] * 9, "regression", "regression", []),
        (["true", "false"] * 9, None, "classification", ["false", "true"]),
        (["01", "1"] * 9, None, "classification", ["01", "1"]),
        (["b", "a", "B"] * 9, None, "classification", ["B", "a", "b"]),
    ],
)
def test_task_is_inferred_or_as_requested(
    values: list[Any], requested: str | None, task: str, classes: list[str], upload: Upload
) -> None:
    content = csv_text(["a", "y"], [[i, value] for i, value in enumerate(values)])
    dataset = upload(content, **({"task": requested} if requested else {})).json()
    assert (dataset["task"], dataset["classes"]) == (task, classes)


def test_numeric_target_is_stored_unchanged(upload: Upload, small: Settings) -> None:
    y = np.random.default_rng(0).normal(size=30)
    data = stored(small, upload(npz(x=np.zeros((30, 1)) + np.arange(30)[:, None], y=y), order="time").json())
    np.testing.assert_array_equal(np.concatenate([data["train_y"], data["test_y"]]), y)


def test_array_that_float32_stores_coarsely_has_a_warning(upload: Upload) -> None:
    x = np.stack([np.arange(30.0), 1.6e9 + np.arange(30.0)], 1)
    (warning,) = upload(npz(x=x, y=np.arange(30) % 2)).json()["warnings"]
    assert "the columns 1 vary" in warning
    assert upload(npz(x=x[:, :1], y=np.arange(30) % 2)).json()["warnings"] == []


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"1.5,2,0\n3,4,1\n5,6,0\n7,8,1\n", ["0", "1"]),
        (b"0,1,2\n3,4,1\n5,6,0\n7,8,1\n1,2,0\n", ["0", "1"]),
        (b"a;b;y\n3;4;1\n5;6;0\n7;8;1\n1;2;0\n", ["a", "b"]),
        (b"a\tb\ty\n3\t4\t1\n5\t6\t0\n7\t8\t1\n1\t2\t0\n", ["a", "b"]),
        (b'\xef\xbb\xbf"a, really",b,y\r\n3,4,1\r\n5,6,0\r\n7,8,1\r\n1,2,0\r\n', ["a, really", "b"]),
        (b",b,y\n0,4,1\n1,6,0\n2,8,1\n3,2,0\n", ["b"]),
    ],
)
def test_csv_dialects_are_detected(content: bytes, columns: list[str], upload: Upload, client: TestClient) -> None:
    dataset = upload(content).json()
    assert client.get(f"/v1/datasets/{dataset['id']}/preview").json()["columns"] == columns
    assert dataset["rows_train"] + dataset["rows_test"] == 4


def test_column_with_later_text_is_text(upload: Upload, client: TestClient) -> None:
    rows = [[i % 2, f"0.{'3' * 200}", i % 2] for i in range(45_000)] + [["high", 1, 1]]  # more than the first block
    dataset = upload(csv_text(["level", "b", "y"], rows)).json()
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    assert preview["columns"] == ["level", "b"]
    assert dataset["columns"][0]["type"] == "category"
    assert dataset["columns"][0]["levels"] == ["0", "1"]  # "high" is in a test row


def test_lost_or_altered_file_is_restored_by_uploading_it_again(
    upload: Upload, client: TestClient, small: Settings
) -> None:
    dataset = upload(wine()).json()
    (file,) = [path for path in files_of(small) if path.stem in dataset["id"]]
    whole = file.read_bytes()
    file.unlink()
    assert "Upload the file again" in client.get(f"/v1/datasets/{dataset['id']}").json()["missing"]
    assert upload(wine()).json()["missing"] is None
    file.write_bytes(whole[:-1])
    assert upload(wine()).status_code == 200
    assert file.read_bytes() == whole


def test_names_are_stored_unchanged(upload: Upload, client: TestClient) -> None:
    for i, name in enumerate(("é😀", "'; DROP TABLE dataset; --", "../../etc/passwd", "\u202e")):
        dataset = upload(npz(x=np.arange(20.0).reshape(10, 2) - 100 - i, y=np.arange(10) % 2), name=name).json()
        assert dataset["name"] == name
        assert Path(dataset["id"]).name == dataset["id"]
