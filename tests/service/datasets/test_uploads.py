"""Uploads over HTTP: tables and images, inferred facts, one name for equal content."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_wine

from service.datasets import upload_bodies as dataset_bodies
from service.datasets.service import Uploads
from service.errors import BadRequest
from service.http import body_stream
from service.settings import Settings
from tests.service.datasets.conftest import OCTETS, Memory, Upload, files_of, left_behind
from tests.service.datasets.upload_files import csv_text, iris, npz, parquet, pictures, png, wine, zipped

pytestmark = pytest.mark.slow
RANDOM = np.random.default_rng(0)
Stored = dict[str, np.ndarray[Any, Any]]


def stored(settings: Settings, dataset: dict[str, Any]) -> Stored:
    """Return the file that a worker reads."""
    digest = dataset["sha256"].removeprefix("sha256:")
    return load_file(settings.datasets / "uploads" / f"{digest}.safetensors")


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
    rows = {(x.tobytes(), int(y)) for x, y in zip(theirs.data.astype(np.float32), theirs.target, strict=True)}
    mine = [
        (x.tobytes(), int(y)) for p in ("train", "test") for x, y in zip(data[f"{p}_x"], data[f"{p}_y"], strict=True)
    ]
    assert (set(mine), len(mine)) == (rows, 178)
    assert left_behind(small) == []


def test_equal_content_is_stored_once_whatever_file_it_came_in(upload: Upload, small: Settings) -> None:
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


def test_an_uploads_id_is_the_digest_of_its_file(upload: Upload, small: Settings) -> None:
    dataset = upload(npz(**iris())).json()
    (file,) = [path for path in files_of(small) if path.stem in dataset["id"]]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (dataset["id"], dataset["sha256"]) == (f"dataset_{digest}", f"sha256:{digest}")
    assert dataset["bytes"] == file.stat().st_size


def test_the_file_of_known_data_has_a_digest_that_no_version_may_change(upload: Upload) -> None:
    """An id that changes with a release would break every spec that names it."""
    rows = [[i, i / 4, "yes" if i % 3 else "no"] for i in range(12)]
    assert upload(csv_text(["a", "b", "c"], rows)).json()["id"] == (
        "dataset_b065f2e3bb841f13c01821cdb4623a90b82b429501b37e4c94626c7ff52737f2"
    )


def test_a_random_split_takes_the_same_share_of_each_class_and_never_all_of_one(
    upload: Upload, small: Settings
) -> None:
    y = np.repeat([0, 1, 2, 3], [70, 20, 9, 1])
    for seed in (0, 1):
        dataset = upload(npz(x=np.arange(200.0).reshape(100, 2), y=y), test_size=0.3, seed=seed).json()
        data = stored(small, dataset)
        counts = np.bincount(data["test_y"], minlength=4).tolist()
        assert counts == [21, 6, 3, 0]
        assert sorted(np.concatenate([data["train_x"], data["test_x"]])[:, 0]) == list(range(0, 200, 2))


def test_in_time_the_last_rows_test(upload: Upload, small: Settings) -> None:
    dataset = upload(npz(x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2), order="time", test_size=5).json()
    data = stored(small, dataset)
    assert data["train_x"][:, 0].tolist() == list(range(0, 30, 2))
    assert data["test_x"][:, 0].tolist() == list(range(30, 40, 2))


def test_test_part_in_the_file_is_used_and_options_that_contradict_it_are_refused(
    upload: Upload, small: Settings
) -> None:
    x, y = iris()["x"], iris()["y"]
    content = npz(x_train=x[::2], y_train=y[::2], x_test=x[1::2], y_test=y[1::2])
    data = stored(small, upload(content).json())
    np.testing.assert_array_equal(data["test_x"], x[1::2].astype(np.float32))
    np.testing.assert_array_equal(data["train_y"], y[::2])
    refused = upload(content, test_size=0.5).json()
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, "test_size")


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


def test_a_zip_of_folders_becomes_images_in_the_order_of_their_names(upload: Upload, small: Settings) -> None:
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


def test_what_is_see_through_shows_black(upload: Upload, small: Settings) -> None:
    clear = np.full((4, 4, 4), 255, np.uint8)
    clear[..., 3] = 0
    data = stored(small, upload(zipped({**pictures(planes=3), "class1/9.png": png(clear)})).json())
    assert any((x == 0).all() for x in np.concatenate([data["train_x"], data["test_x"]]))


def test_text_becomes_a_column_for_each_value_and_columns_can_be_dropped(upload: Upload, client: TestClient) -> None:
    rows = [[i, f"row {i}", "red" if i % 3 else "blue", i % 2] for i in range(150)]
    content = csv_text(["size", "note", "colour", "kind"], rows)
    assert upload(content).json()["errors"][0]["code"] == "too_many_values"
    dataset = upload(content, drop="note").json()
    assert dataset["shape"] == [3]
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    assert preview["columns"] == ["size", "colour=blue", "colour=red"]
    assert [row["x"][1:] for row in preview["rows"][:2]] == [
        [0, 1] if row["x"][0] % 3 else [1, 0] for row in preview["rows"][:2]
    ]
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
        (["b", "a", "B"] * 9, None, "classification", ["B", "a", "b"]),
    ],
)
def test_task_is_inferred_or_as_requested(
    values: list[Any], requested: str | None, task: str, classes: list[str], upload: Upload
) -> None:
    content = csv_text(["a", "y"], [[i, value] for i, value in enumerate(values)])
    dataset = upload(content, **({"task": requested} if requested else {})).json()
    assert (dataset["task"], dataset["classes"]) == (task, classes)


def test_a_target_of_numbers_is_stored_as_it_is(upload: Upload, small: Settings) -> None:
    y = np.random.default_rng(0).normal(size=30)
    data = stored(small, upload(npz(x=np.zeros((30, 1)) + np.arange(30)[:, None], y=y), order="time").json())
    np.testing.assert_array_equal(np.concatenate([data["train_y"], data["test_y"]]), y)


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
def test_csv_as_programs_write_it(content: bytes, columns: list[str], upload: Upload, client: TestClient) -> None:
    dataset = upload(content).json()
    assert client.get(f"/v1/datasets/{dataset['id']}/preview").json()["columns"] == columns
    assert dataset["rows_train"] + dataset["rows_test"] == 4


def test_column_with_later_text_is_text(upload: Upload, client: TestClient) -> None:
    rows = [[i % 2, f"0.{'3' * 200}", i % 2] for i in range(45_000)] + [["high", 1, 1]]  # more than the first block
    dataset = upload(csv_text(["level", "b", "y"], rows)).json()
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    assert preview["columns"] == ["level=0", "level=1", "level=high", "b"]


def test_a_preview_tells_of_counts_and_figures_that_are_true(
    upload: Upload, client: TestClient, small: Settings
) -> None:
    dataset = upload(wine()).json()
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    data = stored(small, dataset)
    counts = np.bincount(data["train_y"]).tolist()
    assert [one["rows_train"] for one in preview["class_counts"]] == counts
    assert sum(one["rows_test"] for one in preview["class_counts"]) == 36
    for i, feature in enumerate(preview["features"]):
        column = data["train_x"][:, i].astype(np.float64)
        reply = [feature[name] for name in ("min", "max", "mean", "std")]
        np.testing.assert_allclose(reply, [column.min(), column.max(), column.mean(), column.std()], rtol=1e-6)
    np.testing.assert_array_equal(np.float32(preview["rows"][0]["x"]), data["train_x"][0])
    assert preview["rows"][0]["y"] == dataset["classes"][data["train_y"][0]]


def test_a_preview_of_images_is_a_picture_of_some_of_each_class(
    upload: Upload, client: TestClient, small: Settings
) -> None:
    dataset = upload(zipped(pictures(classes=3))).json()
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    kind, _, content = preview["picture"].partition(",")
    assert kind == "data:image/png;base64"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    data = stored(small, dataset)
    first = [data["train_x"][np.flatnonzero(data["train_y"] == label)[0]] for label in range(3)]
    displayed = [sheet[:32, 32 * i : 32 * i + 32][::8, ::8] for i in range(3)]
    np.testing.assert_array_equal(displayed, first)
    pixels = data["train_x"] / 255
    np.testing.assert_allclose([preview["pixels"]["mean"], preview["pixels"]["std"]], [pixels.mean(), pixels.std()])


def test_pages_show_the_built_in_ones_and_every_upload_once(upload: Upload, client: TestClient) -> None:
    ids = [upload(npz(x=np.arange(20.0).reshape(10, 2) + i, y=np.arange(10) % 2)).json()["id"] for i in range(3)]
    everything = client.get("/v1/datasets", params={"limit": 1000}).json()
    assert (everything["has_more"], everything["next_cursor"]) == (False, None)
    displayed = [dataset["id"] for dataset in everything["data"]]
    kinds = [dataset["id"] for dataset in everything["data"] if dataset["source"] == "built_in"]
    assert displayed[: len(kinds)] == kinds == sorted(kinds)
    assert {"digits", "mnist1d", "fashion_mnist"} <= set(kinds)
    assert displayed[len(kinds) : len(kinds) + 3] == ids[::-1]
    for limit in (1, len(kinds), len(kinds) + 1):
        pages, after = list[str](), None
        while True:
            page = client.get("/v1/datasets", params={"limit": limit, **({"after": after} if after else {})}).json()
            pages += [dataset["id"] for dataset in page["data"]]
            after = page["next_cursor"]
            if not page["has_more"]:
                break
        assert pages == displayed


def test_built_in_datasets_are_read_like_others_and_say_what_is_missing(client: TestClient) -> None:
    digits = client.get("/v1/datasets/digits").json()
    assert (digits["source"], digits["missing"], digits["spec"]) == ("built_in", None, {"kind": "digits"})
    assert (digits["rows_train"], digits["created_at"]) == (1442, None)
    assert "fitwell data fetch kmnist" in client.get("/v1/datasets/kmnist").json()["missing"]
    refused = client.delete("/v1/datasets/digits")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_in_use")


@pytest.mark.parametrize("path", ["dataset_1", "dataset_1/preview", "digits/preview"])
def test_missing_dataset_is_a_404(path: str, client: TestClient) -> None:
    answer = client.get(f"/v1/datasets/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain", None]
)
def test_a_body_that_is_not_said_to_be_a_file_is_refused(kind: str | None, client: TestClient) -> None:
    """A page of another origin can send forms and plain text without asking first."""
    answer = client.post("/v1/datasets", content=wine(), headers={"content-type": kind} if kind else {})
    assert (answer.status_code, "text/csv" in answer.json()["detail"]) == (415, True)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_file_that_is_too_large_is_refused_as_it_arrives(streamed: bool, client: TestClient, small: Settings) -> None:
    pieces = (bytes(2**20) for _ in range(40))
    content: Any = pieces if streamed else b"".join(pieces)
    answer = client.post("/v1/datasets", content=content, headers=OCTETS)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert left_behind(small) == []


@pytest.mark.parametrize(
    "query",
    ["surprise=1", "format=pickle", "test_size=0", "test_size=nan", "test_size=x", "seed=-1", "order=up", "name="],
)
def test_a_query_that_means_nothing_is_refused(query: str, client: TestClient) -> None:
    answer = client.post(f"/v1/datasets?{query}", content=wine(), headers=OCTETS)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, query.partition("=")[0])


def test_too_many_concurrent_uploads_get_retry_after(client: TestClient, upload: Upload) -> None:
    uploads = client.app.state.services[Uploads]  # type: ignore[attr-defined]
    with uploads.receiving(), uploads.receiving():
        answer = upload(wine())
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
            429,
            "too_many_uploads",
            "2",
        )
    assert upload(wine()).status_code in (200, 201)


def test_a_file_that_was_lost_or_altered_is_mended_by_sending_it_again(
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


@pytest.mark.parametrize("form", ["npz", "csv", "parquet"])
def test_reading_takes_memory_in_proportion_to_the_data(form: str, upload: Upload, memory: Memory) -> None:
    """No library reserves address space that it may never need, or honest files would be refused for it."""
    x, y = RANDOM.normal(size=(120_000, 20)), np.arange(120_000) % 5
    if form == "npz":
        content = npz(x=x, y=y)
    elif form == "parquet":
        content = parquet(**{f"c{i}": column for i, column in enumerate(x.T)}, y=y)
    else:
        rows = np.column_stack([x, y])
        text = io.StringIO()
        np.savetxt(text, rows, fmt="%.7g", delimiter=",", header=",".join(map(str, range(21))), comments="")
        content = text.getvalue().encode()
    assert 15 * 2**20 < len(content) < 2**25
    assert upload(content).status_code == 201
    (reply,) = memory()
    assert reply["after"]["VmPeak"] - reply["before"]["VmSize"] < 8 * len(content)


def test_a_body_that_stops_arriving_or_breaks_off_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_stream, "MAX_SILENCE_SECONDS", 0.05)

    async def receive(*messages: Any) -> None:
        left = [{"type": "http.request", "body": b"begun", "more_body": True}, *messages]

        async def more() -> Any:
            if not left:
                await asyncio.sleep(30)
            return left.pop(0)

        request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"text/csv")]}, more)
        await dataset_bodies.save(request, tmp_path / str(len(messages)), 1000)

    with pytest.raises(BadRequest, match=r"stopped arriving for 0\.05 s"):
        asyncio.run(receive())
    with pytest.raises(BadRequest, match="incomplete"):
        asyncio.run(receive({"type": "http.disconnect"}))


def test_names_are_stored_as_they_are(upload: Upload, client: TestClient) -> None:
    for i, name in enumerate(("é😀", "'; DROP TABLE dataset; --", "../../etc/passwd", "\u202e")):
        dataset = upload(npz(x=np.arange(20.0).reshape(10, 2) - 100 - i, y=np.arange(10) % 2), name=name).json()
        assert dataset["name"] == name
        assert Path(dataset["id"]).name == dataset["id"]
